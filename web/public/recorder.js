// Hands the microphone's samples to the page, as they come.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.isOn = true;
    this.port.onmessage = () => {
      this.isOn = false;
    };
  }

  process([channels]) {
    if (this.isOn && channels?.[0]) this.port.postMessage(channels[0].slice());
    return this.isOn;
  }
}

registerProcessor("recorder", Recorder);
