import { expect, test } from "vitest";
import { fileRate } from "../src/decode";

const word = (text: string) => [...Buffer.from(text)];
const zeros = (count: number) => new Array<number>(count).fill(0);

function padded(...bytes: number[]): Uint8Array {
  return Uint8Array.from([...bytes, ...zeros(Math.max(0, 128 - bytes.length))]);
}

const stream = [...word("fLaC"), 0, 0, 0, 34, ...zeros(10)]; // up to the rate, 20 bits of it
const packet = [...word("OggS"), ...zeros(22), 1, 30];
const entry = [...word("mp4a"), ...zeros(24), 0xac, 0x44, 0, 0];

test.each([
  ["FLAC", padded(...stream, 0x0a, 0xc4, 0x40), 44_100],
  ["Vorbis", padded(...packet, 1, ...word("vorbis"), ...zeros(5), 0x22, 0x56, 0, 0), 22_050],
  ["Opus", padded(...packet, ...word("OpusHead")), 48_000],
  ["another Ogg", padded(...packet, ...word("Speex")), undefined],
  ["MP3", padded(0xff, 0xfb, 0x90, 0), 44_100],
  ["MP3 of MPEG 2", padded(0xff, 0xf3, 0x48, 0), 16_000],
  ["MP3 after a tag", padded(...word("ID3"), 4, 0, 0, 0, 0, 0, 4, ...zeros(4), 0xff, 0xfb, 0x94, 0), 48_000],
  ["M4A", padded(0, 0, 0, 8, ...word("ftypM4A moov"), ...zeros(9), ...entry), 44_100],
  ["M4A whose entry is cut off", padded(0, 0, 0, 8, ...word("ftyp"), ...zeros(112), ...word("mp4a")), undefined],
  ["M4A without AAC", padded(0, 0, 0, 8, ...word("ftypM4A moov")), undefined],
  ["text", padded(...word("no audio")), undefined],
  ["little", Uint8Array.of(0xff, 0xfb, 0x90, 0), undefined],
])("the rate of %s", (_, bytes, rate) => {
  expect(fileRate(bytes)).toBe(rate);
});
