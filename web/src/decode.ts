/** Files that are no WAV, by the browser's own decoders, at the rate that the file says it has. */

import { UserError } from "./errors";
import type { Audio } from "./types";

const OPUS_HZ = 48_000;
const LOWEST_HZ = 8000; // that a browser makes a context of
const MP3_HZ = [
  [11_025, 12_000, 8_000],
  [],
  [22_050, 24_000, 16_000],
  [44_100, 48_000, 32_000],
];

export async function decode(content: ArrayBuffer): Promise<Audio> {
  const rateHz = fileRate(new Uint8Array(content)) ?? OPUS_HZ;
  try {
    const context = new OfflineAudioContext(1, 1, rateHz);
    const buffer = await context.decodeAudioData(content);
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) =>
      buffer.getChannelData(i).slice(),
    );
    return { rateHz: buffer.sampleRate, channels };
  } catch {
    throw new UserError("This is no audio file that this browser can read. WAV always works.");
  }
}

/** Returns the rate that a FLAC, Ogg, MP4 or MP3 file names; undefined where it is not known. */
export function fileRate(bytes: Uint8Array): number | undefined {
  const word = (at: number, length = 4) => String.fromCharCode(...bytes.subarray(at, at + length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64) return undefined;
  if (word(0) === "fLaC") return view.getUint32(18) >>> 12;
  if (word(0) === "OggS") {
    const packet = 27 + bytes[26]!;
    if (word(packet, 8) === "OpusHead") return OPUS_HZ;
    if (word(packet + 1, 6) === "vorbis") return view.getUint32(packet + 12, true);
    return undefined;
  }
  if (word(4) === "ftyp") return mp4Rate(bytes, view);
  return mp3Rate(bytes, word(0, 3) === "ID3" ? afterTag(bytes) : 0);
}

/** Of the first AAC track: 16.16 fixed point, 28 bytes from where its entry names itself. */
function mp4Rate(bytes: Uint8Array, view: DataView): number | undefined {
  for (let at = bytes.indexOf(0x6d); at >= 0 && at + 32 <= bytes.length; ) {
    if (view.getUint32(at) === 0x6d703461) {
      const rate = view.getUint16(at + 28); // "mp4a"
      if (rate >= LOWEST_HZ) return rate;
    }
    at = bytes.indexOf(0x6d, at + 1);
  }
  return undefined;
}

function afterTag(bytes: Uint8Array): number {
  const [a, b, c, d] = bytes.subarray(6, 10);
  return 10 + ((a! << 21) | (b! << 14) | (c! << 7) | d!);
}

function mp3Rate(bytes: Uint8Array, start: number): number | undefined {
  for (let at = start; at + 4 < Math.min(bytes.length, start + 4096); at++) {
    const [first, second, third] = bytes.subarray(at, at + 3);
    const isFrame = first === 0xff && (second! & 0xe6) === 0xe2 && third! >> 4 < 15;
    const rate = isFrame ? MP3_HZ[(second! >> 3) & 3]![(third! >> 2) & 3] : undefined;
    if (rate) return rate;
  }
  return undefined;
}
