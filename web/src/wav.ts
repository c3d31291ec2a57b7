/** WAV files, read to the bit as libsndfile reads them: full scale is 1. */

import { UserError } from "./errors";
import type { Audio } from "./types";

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

interface Format {
  coding: number;
  channels: number;
  rateHz: number;
  bytes: number;
}

function isWav(bytes: Uint8Array): boolean {
  return text(bytes, 0) === "RIFF" && text(bytes, 8) === "WAVE";
}

export function startsAsWav(content: ArrayBuffer): boolean {
  return isWav(new Uint8Array(content, 0, Math.min(12, content.byteLength)));
}

/** Returns every channel of a WAV file as float32. */
export function readWav(content: ArrayBuffer): Audio {
  const bytes = new Uint8Array(content);
  const view = new DataView(content);
  let format: Format | undefined;
  let data: [number, number] | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = text(bytes, at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    // A recorder that was stopped leaves a size that reaches beyond the end.
    const end = Math.min(start + size, bytes.length);
    if (name === "fmt " && end - start >= 16) format = formatAt(view, start, end);
    if (name === "data" && data === undefined) data = [start, end];
    at = start + size + (size % 2);
  }
  if (!format || !data) throw new UserError("This WAV file has no format or no samples.");
  return { rateHz: format.rateHz, channels: samples(view, format, data) };
}

function formatAt(view: DataView, start: number, end: number): Format {
  let coding = view.getUint16(start, true);
  if (coding === EXTENSIBLE && end - start >= 26) coding = view.getUint16(start + 24, true);
  const format = {
    coding,
    channels: view.getUint16(start + 2, true),
    rateHz: view.getUint32(start + 4, true),
    bytes: view.getUint16(start + 14, true) / 8,
  };
  const known =
    (coding === PCM && [1, 2, 3, 4].includes(format.bytes)) ||
    (coding === FLOAT && [4, 8].includes(format.bytes));
  if (!known || format.channels < 1) {
    throw new UserError(
      `This WAV file has samples of format ${String(coding)} and ${String(8 * format.bytes)} bits; it must be PCM or float.`,
    );
  }
  return format;
}

function samples(view: DataView, format: Format, [start, end]: [number, number]): Float32Array[] {
  const { channels, bytes } = format;
  const length = Math.floor((end - start) / (bytes * channels));
  const read = reader(view, format);
  const found = Array.from({ length: channels }, () => new Float32Array(length));
  let at = start;
  for (let i = 0; i < length; i++) {
    for (const channel of found) {
      channel[i] = read(at);
      at += bytes;
    }
  }
  return found;
}

function reader(view: DataView, { coding, bytes }: Format): (at: number) => number {
  if (coding === FLOAT) {
    return bytes === 4 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  }
  if (bytes === 1) return (at) => view.getUint8(at) / 128 - 1;
  if (bytes === 2) return (at) => view.getInt16(at, true) / 2 ** 15;
  if (bytes === 3) {
    return (at) => (view.getInt16(at + 1, true) * 256 + view.getUint8(at)) / 2 ** 23;
  }
  return (at) => view.getInt32(at, true) / 2 ** 31;
}

function text(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** Returns a mono 16-bit WAV file of samples within full scale, for the player. */
export function writeWav(waveform: Float32Array, rateHz: number): ArrayBuffer {
  return writeWavOf({ rateHz, channels: [waveform] });
}

/** Returns a 16-bit WAV file of samples within full scale. */
export function writeWavOf({ rateHz, channels }: Audio): ArrayBuffer {
  const frame = 2 * channels.length;
  const size = frame * (channels[0]?.length ?? 0);
  const content = new ArrayBuffer(44 + size);
  const view = new DataView(content);
  const put = (at: number, word: string) => {
    for (let i = 0; i < word.length; i++) view.setUint8(at + i, word.charCodeAt(i));
  };
  put(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, frame * rateHz, true);
  view.setUint16(32, frame, true);
  view.setUint16(34, 16, true);
  put(36, "data");
  view.setUint32(40, size, true);
  channels.forEach((channel, k) => {
    channel.forEach((value, i) => {
      const sample = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
      view.setInt16(44 + frame * i + 2 * k, sample, true);
    });
  });
  return content;
}
