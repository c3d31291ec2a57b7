import { expect, test } from "vitest";
import { judge } from "../src/decide";
import { asRecord } from "../src/report";
import { sourceOf } from "../src/say";
import { familyOf } from "../src/source";
import type { About, Scored } from "../src/types";
import { claim, normalised } from "../src/voice";

const sources = {
  output: "coordinates",
  names: ["flite", "piper"],
  means: [
    [0, 0],
    [4, 0],
  ],
  farthest: 1,
  least: 0.95,
};
const about = {
  sample_rate_hz: 16_000,
  num_samples: 16_000,
  gate: { enabled: true },
  checkpoint: {},
  longer: { aggregate: "mean", hop_samples: 16_000 },
  threshold: null,
  calibration: null,
  unlike_training: null,
  sources,
} as unknown as About;

function scored(...windows: [number, number, number][]): Scored {
  const made = windows.map(([score, x, y], i) => ({
    ...{ start: 16_000 * i, numSamples: 16_000, score, distance: null, refusal: null },
    coordinates: Float32Array.of(x, y),
  }));
  return { numSamples: 16_000 * windows.length, windows: made, refusal: null };
}

const family = (...places: [number, number][]) =>
  familyOf(places.map((one) => Float32Array.from(one)), sources);

test("the nearest family is named, of the mean over windows", () => {
  expect(family([0.5, 0.5])).toBe("flite");
  expect(family([3, 1], [5, -1])).toBe("piper");
});

test("none is named far away, nor between two", () => {
  expect(family([0, 1.5])).toBe("none of these"); // farther than 1, over two directions
  expect(family([0, 1.4])).toBe("flite");
  expect(family([1.35, 0])).toBe("none of these"); // near enough, but .93 probable
});

test("a source is of what is called spoof", () => {
  const given = scored([-1, 0, 0], [-1, 0, 0]);
  const said = judge(given, about, { threshold: 0, prior: 0.5 });
  expect(said.source).toBe("flite");
  expect(sourceOf(said, about)).toMatch(/^Source: flite/);
  const other = judge(given, about, { threshold: -2, prior: 0.5 });
  expect(other.source).toBeNull();
  expect(sourceOf(other, about)).toBe("");
  const unsure = judge(scored([-1, 2, 0]), about, { threshold: 0, prior: 0.5 });
  expect(sourceOf(unsure, about)).toMatch(/^Source: none of flite, piper/);
});

test("where no sources are known, the record has none", () => {
  const record = asRecord("a", scored([-1, 0, 0]), { ...about, sources: null }, { threshold: 0, prior: 0.5 });
  expect(record).not.toHaveProperty("source");
});

test("an enrolled voice raises every score, and a note says so", () => {
  const voice = { name: "ana", num_clips: 12, shift: 1.25 };
  const found = normalised(scored([-1, 0, 0], [-2, 0, 0]), about, voice);
  const record = asRecord("a", found, about, { threshold: 0, prior: 0.5 });
  expect(record).toMatchObject({ score: -0.25, verdict: "spoof" });
  expect(record.windows.map((one) => one.score)).toEqual([0.25, -0.75]);
  expect(record.notes).toEqual(["score +1.250 for ana, by 12 recordings"]);
  expect(claim(voice)).toContain("ana");
});

test("a voice raises nothing of what cannot be judged", () => {
  const refusal = { reason: "digital silence" as const, detail: "", value: 0 };
  const silent: Scored = { numSamples: 10, windows: [], refusal };
  expect(normalised(silent, about, { name: "ana", num_clips: 12, shift: 1 })).toBe(silent);
});
