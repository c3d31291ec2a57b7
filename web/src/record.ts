/** The microphone: samples as they are, without the browser's processing. */

import { UserError } from "./errors";
import type { Audio } from "./types";

const OFF = {
  echoCancellation: "echo cancellation",
  noiseSuppression: "noise suppression",
  autoGainControl: "automatic gain",
} as const;

export interface Recording {
  /** What the browser left on though it was asked not to; "" = nothing. */
  processing: string;
  stop(): Promise<Audio>;
}

let prepared: Promise<AudioContext> | undefined;

/** Returns what records, at the device's own rate; loaded with the page, so that it needs no network later. */
export function prepare(): Promise<AudioContext> {
  prepared ??= made().catch((error: unknown) => {
    prepared = undefined;
    throw error;
  });
  return prepared;
}

async function made(): Promise<AudioContext> {
  // Of no rate that is named: one at 16 kHz would resample, and Firefox refuses it.
  const context = new AudioContext();
  await context.audioWorklet.addModule(new URL("recorder.js", document.baseURI));
  return context;
}

export async function record(
  onLength: (seconds: number) => void,
  onEnd: () => void,
): Promise<Recording> {
  if (!("mediaDevices" in navigator)) {
    throw new UserError("This browser gives no page a microphone here; it must be https or localhost.");
  }
  const stream = await microphone();
  const context = await prepare();
  const source = context.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1 });
  const blocks: Float32Array[] = [];
  let length = 0;
  node.port.onmessage = (event: MessageEvent<Float32Array>) => {
    blocks.push(event.data);
    length += event.data.length;
    onLength(length / context.sampleRate);
  };
  source.connect(node);
  await context.resume();
  const [track] = stream.getAudioTracks();
  track?.addEventListener("ended", onEnd);
  return {
    processing: track ? leftOn(track) : "",
    async stop() {
      node.port.onmessage = null; // blocks under way would count seconds on
      const rateHz = context.sampleRate;
      stream.getTracks().forEach((one) => {
        one.stop();
      });
      source.disconnect();
      node.port.postMessage("stop");
      await context.suspend();
      const mono = new Float32Array(length);
      let at = 0;
      for (const block of blocks) {
        mono.set(block, at);
        at += block.length;
      }
      return { rateHz, channels: [mono] };
    },
  };
}

async function microphone(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
      },
    });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError") throw new UserError("The microphone was not allowed.");
    throw new UserError("There is no microphone that can be used.");
  }
}

function leftOn(track: MediaStreamTrack): string {
  const settings = track.getSettings() as Record<string, unknown>;
  return Object.entries(OFF)
    .filter(([name]) => settings[name] === true)
    .map(([, words]) => words)
    .join(", ");
}
