import { expect, test } from "vitest";
import { readWav, writeWav } from "../src/wav";

function wav(coding: number, bits: number, channels: number, data: number[]): ArrayBuffer {
  const bytes = [...Buffer.from("RIFF"), 0, 0, 0, 0, ...Buffer.from("WAVEfmt "), 16, 0, 0, 0];
  bytes.push(coding, 0, channels, 0, 0x40, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, bits, 0);
  bytes.push(...Buffer.from("data"), data.length, 0, 0, 0, ...data);
  return Uint8Array.from(bytes).buffer;
}

test("16-bit channels come apart, full scale is 1", () => {
  const { rateHz, channels } = readWav(wav(1, 16, 2, [0, 0x80, 1, 0, 0xff, 0x7f, 0xff, 0xff]));
  expect(rateHz).toBe(8000);
  expect(channels.map((one) => [...one])).toEqual([
    [-1, 32767 / 32768],
    [1 / 32768, -1 / 32768],
  ]);
});

test("24-bit samples have their sign", () => {
  const { channels } = readWav(wav(1, 24, 1, [1, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0x80]));
  expect([...channels[0]!]).toEqual([2 ** -23, -(2 ** -23), -1]);
});

test("8-bit samples are unsigned", () => {
  expect([...readWav(wav(1, 8, 1, [0, 128, 192])).channels[0]!]).toEqual([-1, 0, 0.5]);
});

test("another coding is refused in words", () => {
  expect(() => readWav(wav(6, 8, 1, [0]))).toThrow("format 6 and 8 bits");
});

test("what the player gets is what was read", () => {
  const waveform = Float32Array.of(-1, -0.5, 0, 0.25, 32767 / 32768);
  expect(readWav(writeWav(waveform, 16000)).channels[0]).toEqual(waveform);
});
