import { describe, expect, test } from "vitest";
import { deciding, judge, pSpoof, sentence, spoofSpans } from "../src/decide";
import { levelRefusal, mixed, speechRefusal } from "../src/gate";
import { score, starts } from "../src/score";
import type { About, Scored } from "../src/types";

const gate = {
  enabled: true,
  min_duration_s: 0.1,
  silence_dbfs: -80,
  min_active_s: 0.1,
  max_dc_share: 0.99,
  max_clipped_share: 0.3,
  min_mix_share: 0.01,
};
const about = {
  sample_rate_hz: 16_000,
  num_samples: 16_000,
  gate,
  longer: { aggregate: "mean", hop_samples: 8000 },
  threshold: { value: 0, of: "score", rule: "", lowest_score: -10, highest_score: 10 },
  calibration: { kind: "affine", scale: 2, offset: 0, bounds: [-6, 6] },
  unlike_training: { output: "distance", highest: 2, highest_of_window: 3 },
} as unknown as About;
const settings = { threshold: 0, prior: 0.5 };

function scored(scores: (number | null)[], distance = 1): Scored {
  const windows = scores.map((score, i) => {
    const refusal =
      score === null ? { reason: "no speech" as const, detail: "none", value: 0 } : null;
    return { start: 8000 * i, numSamples: 16_000, score, distance, refusal };
  });
  return { numSamples: 8000 * (scores.length + 1), windows, refusal: null };
}

test("windows are every hop, the last one ends with the recording", () => {
  expect(starts(40_000, 16_000, 8000)).toEqual([0, 8000, 16_000, 24_000]);
  expect(starts(41_000, 16_000, 8000)).toEqual([0, 8000, 16_000, 24_000, 25_000]);
  expect(starts(100, 16_000, 8000)).toEqual([0]);
  expect(starts(0, 16_000, 8000)).toEqual([]);
});

test("windows that cannot be judged do not count", () => {
  const said = judge(scored([1, null, 3]), about, settings);
  expect(said).toMatchObject({ verdict: "bonafide", score: 2, llr: 4 });
  expect(sentence(said)).toBe("Moderate evidence of genuine speech.");
});

test("the sentence goes by the likelihood ratio, not by the prior", () => {
  const said = judge(scored([-5]), about, { threshold: 0, prior: 0.01 });
  expect(said.llr).toBe(-6);
  expect(said.p_spoof).toBeCloseTo(pSpoof(-6, 0.01));
  expect(sentence(said)).toBe("Strong evidence of synthetic speech.");
  expect(sentence(judge(scored([0.1]), about, settings))).toMatch(/^No clear evidence/);
});

test("no window: the reason is said", () => {
  const said = judge(scored([null]), about, settings);
  expect(said.verdict).toBe("cannot judge");
  expect(sentence(said)).toBe("Cannot judge: no speech.");
});

test("what is unlike training, or beyond all scores, gets no verdict", () => {
  expect(judge(scored([1], 2.5), about, settings)).toMatchObject({ verdict: "cannot judge", llr: 2 });
  expect(judge(scored([11]), about, settings)).toMatchObject({ verdict: "cannot judge", llr: null });
});

test("spans of spoof are joined where windows overlap", () => {
  const found = spoofSpans(scored([-1, -1, 1, 1, -1]), about, settings);
  expect(found).toEqual([
    { start_s: 0, end_s: 1.5 },
    { start_s: 2, end_s: 3 },
  ]);
});

test("a trimmed mean leaves out a fifth at either end", () => {
  const trimmed = { ...about, longer: { aggregate: "trimmed" } };
  expect(deciding(scored([5, 1, 2, 3, 4]), trimmed).map((i) => [5, 1, 2, 3, 4][i])).toEqual([2, 3, 4]);
});

test.each([
  ["too short", new Float32Array(100).fill(0.1)],
  ["digital silence", new Float32Array(16_000)],
  ["DC offset", new Float32Array(16_000).fill(0.1)],
  ["near silence", new Float32Array(16_000).map((_, i) => 1e-6 * (i % 2 ? 1 : -1))],
  ["heavy clipping", new Float32Array(16_000).map((_, i) => (i % 100 < 50 ? 0.5 : -0.5))],
])("the gate says: %s", (reason, waveform) => {
  expect(levelRefusal(waveform, gate, 16_000)?.reason).toBe(reason);
});

test("an empty channel and channels that cancel are named", () => {
  const tone = new Float32Array(1000).map((_, i) => 0.5 * Math.sin(i / 5));
  expect(mixed([tone, new Float32Array(1000)], gate).refusal?.reason).toBe("wrong channel");
  expect(mixed([tone, tone.map((x) => -x)], gate).refusal?.reason).toBe("wrong channel");
  expect(mixed([tone, tone], gate).refusal).toBeNull();
});

test("speech that is just enough is enough", () => {
  expect(speechRefusal(Math.fround(0.2), 0.2, 1)).toBeNull();
  expect(speechRefusal(0.192, 0.2, 1)?.reason).toBe("no speech");
});

describe("where the first window of speech decides", () => {
  const first = {
    ...about,
    num_samples: 16_000,
    pad: "",
    longer: { aggregate: "first", hop_samples: 8000 },
    speech: { needed_s: 0.2, needed_share: 0.5, output: "speech_s" },
    unlike_training: null,
  } as unknown as About;
  const wave = (num: number, from: number) =>
    new Float32Array(num).map((_, i) => (i >= from ? 1 : 0.01) * Math.sin(i / 5 + (i % 7)));

  /** A network that gives how loud a row is, and finds speech where samples are loud. */
  const run = (rows: Float32Array, own: Int32Array) => {
    const speech = Float32Array.from(own, (count, row) => {
      let frames = 0;
      for (let at = 0; at < count; at += 512) {
        const piece = rows.subarray(16_000 * row + at, 16_000 * row + Math.min(at + 512, count));
        if (piece.some((value) => Math.abs(value) > 0.5)) frames++;
      }
      return (512 * frames) / 16_000;
    });
    return Promise.resolve({ score: speech, speech_s: speech });
  };

  test("it is moved to where its speech begins", async () => {
    const found = await score(wave(48_000, 21_000), first, run);
    const onset = 8000 + 512 * Math.floor((21_000 - 8000) / 512);
    const begin = onset - 1600;
    expect(found.windows.map((one) => one.start)).toEqual([0, begin, begin + 8000, 32_000]);
    expect(found.windows[0]!.refusal?.reason).toBe("no speech");
    expect(deciding(found, first)).toEqual([1]);
  });

  test("at the end it ends with the recording", async () => {
    const found = await score(wave(30_000, 20_000), first, run);
    expect(found.windows.map((one) => one.start)).toEqual([0, 14_000]);
    expect(deciding(found, first)).toEqual([1]);
  });

  test("speech in the first one leaves all as it is", async () => {
    const found = await score(wave(40_000, 0), first, run);
    expect(found.windows.map((one) => one.start)).toEqual([0, 8000, 16_000, 24_000]);
    expect(deciding(found, first)).toEqual([0]);
  });

  test("without speech there is no verdict", async () => {
    const found = await score(wave(40_000, 50_000), first, run);
    expect(judge(found, first, settings).verdict).toBe("cannot judge");
  });

  test("of a model that looks for no speech the first window decides, or none", () => {
    const blind = { ...first, speech: null };
    expect(deciding(scored([1, 2]), blind)).toEqual([0]);
    expect(deciding(scored([null, 2]), blind)).toEqual([]);
  });
});
