/**
 * The page's scores held against Python's, on files that tests/web/test_parity.py writes: models,
 * recordings, and expected.json with what Python says of them.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { judge } from "../src/decide";
import { readAbout } from "../src/metadata";
import { asRecord } from "../src/report";
import { heard, score, type Run } from "../src/score";
import type { About } from "../src/types";
import { normalised, type Voice } from "../src/voice";
import { readWav } from "../src/wav";

const folder = process.env.RAWNET_JAX_FIXTURES ?? "";
const names = folder ? (JSON.parse(read("expected.json").toString()) as Expected[]) : [];

interface Expected {
  model: string;
  name: string;
  reason: string | null;
  llr: number | null;
  from_s: number;
  source: string | null;
  notes: string[];
  voice: Voice | null;
  tolerance: number;
}

const models = new Map<string, { about: About; run: Run }>();

function read(name: string): Buffer {
  return readFileSync(resolve(folder, name));
}

beforeAll(async () => {
  if (!folder) return;
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1;
  for (const name of new Set(names.map((one) => one.model))) {
    const model = new Uint8Array(read(name));
    const about = readAbout(model);
    const session = await ort.InferenceSession.create(model);
    const run: Run = async (rows, own) => {
      const found = await session.run({
        waveform: new ort.Tensor("float32", rows, [own.length, about.num_samples]),
        num_samples: new ort.Tensor("int32", own, [own.length]),
      });
      const entries = Object.entries(found);
      return Object.fromEntries(entries.map(([name, one]) => [name, one.data as Float32Array]));
    };
    models.set(name, { about, run });
  }
}, 60_000);

test.skipIf(folder)("no fixtures: RAWNET_JAX_FIXTURES is not set", () => {
  expect(names).toEqual([]);
});

test.each(names)("$model of $name", { timeout: 60_000 }, async (wanted) => {
  const { name, reason, llr, tolerance } = wanted;
  const { about, run } = models.get(wanted.model)!;
  const content = new Uint8Array(read(name)).buffer;
  const { waveform, refusal } = heard(readWav(content), about);
  const own = refusal
    ? { numSamples: waveform.length, windows: [], refusal }
    : await score(waveform, about, run);
  const found = wanted.voice ? normalised(own, about, wanted.voice) : own;
  const said = judge(found, about, { threshold: 1e9, prior: 0.5 });
  expect(said.source ?? null).toBe(wanted.source);
  expect(found.notes ?? []).toEqual(wanted.notes);
  expect(said.reason?.split(":")[0] ?? null).toBe(reason);
  if (llr === null) expect(said.llr).toBeNull();
  else expect(Math.abs(said.llr! - llr)).toBeLessThanOrEqual(tolerance);
  if (tolerance < 0.01) {
    const from = asRecord(name, found, about, { threshold: 0, prior: 0.5 }).scored_from_s;
    expect(from).toBeCloseTo(wanted.from_s, 3);
  }
  console.log(wanted.model, name, said.reason ?? "", said.llr ?? "", llr ?? "");
});
