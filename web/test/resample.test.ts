import { expect, test } from "vitest";
import { resample } from "../src/resample";

const tone = (hz: number, rate: number, seconds: number) =>
  Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));

test.each([44_100, 48_000, 8_000, 22_050])("a tone at %i Hz stays the tone", (rate) => {
  const found = resample(tone(1000, rate, 1), rate, 16_000);
  const wanted = tone(1000, 16_000, 1);
  expect(found.length).toBe(16_000);
  const middle = found.slice(2000, 14_000);
  const worst = Math.max(...middle.map((value, i) => Math.abs(value - wanted[2000 + i]!)));
  expect(worst).toBeLessThan(2e-6);
});

test("what lies above the new Nyquist frequency is gone", () => {
  const found = resample(tone(9000, 48_000, 1), 48_000, 16_000).slice(2000, 14_000);
  expect(Math.max(...found.map(Math.abs))).toBeLessThan(1e-6);
});

test("the network's rate is left alone", () => {
  const waveform = tone(100, 16_000, 1);
  expect(resample(waveform, 16_000, 16_000)).toBe(waveform);
});
