/** A recording to the scores of its windows, as rawnet_jax/scoring/file_windows.py does it. */

import { levelRefusal, mixed, speechRefusal } from "./gate";
import { resample } from "./resample";
import type { About, Audio, Scored, Window } from "./types";

/** Runs the network on rows of `about.num_samples`; returns every output by name, a value a row. */
export type Run = (rows: Float32Array, own: Int32Array) => Promise<Record<string, Float32Array>>;

const BATCH = 4;
const SHORT = 16_000; // a shorter window is heard for speech after silence, as in Python
const LEAD_IN = 3 * 512;

/** Returns the recording as the network hears it: mono, at its rate, within full scale. */
export function heard(audio: Audio, about: About) {
  const { mono, refusal } = mixed(audio.channels, about.gate);
  const waveform = resample(mono, audio.rateHz, about.sample_rate_hz);
  const limited = waveform.some((value) => Math.abs(value) > 1);
  return {
    waveform: limited ? waveform.map((value) => Math.max(-1, Math.min(1, value))) : waveform,
    refusal,
  };
}

/** Returns where windows begin: every hop, the last one ends with the recording. */
export function starts(length: number, window: number, hop: number): number[] {
  const found: number[] = [];
  for (let start = 0; start + window <= length; start += hop) found.push(start);
  const last = found.at(-1);
  if (last === undefined) return length ? [0] : [];
  if (last + window < length) found.push(length - window);
  return found;
}

/**
 * Scores a recording.
 *
 * Where the first window alone decides, windows are scored until one can be judged; the others are
 * looked at, too, for the time line.
 */
export async function score(
  waveform: Float32Array,
  about: About,
  run: Run,
  progress: (done: number, total: number) => void = () => undefined,
): Promise<Scored> {
  const size = about.num_samples;
  const hop = about.longer.hop_samples ?? Math.max(1, Math.round(size / 4));
  const windows = starts(waveform.length, size, hop).map((start): Window => {
    const piece = waveform.subarray(start, start + size);
    const refusal = levelRefusal(piece, about.gate, about.sample_rate_hz);
    return { start, numSamples: piece.length, score: null, distance: null, refusal };
  });
  const judged = windows.filter((window) => window.refusal === null);
  for (let i = 0; i < judged.length; i += BATCH) {
    await scoreBatch(judged.slice(i, i + BATCH), waveform, about, run);
    progress(Math.min(i + BATCH, judged.length), judged.length);
  }
  return { numSamples: waveform.length, windows, refusal: null };
}

async function scoreBatch(batch: Window[], waveform: Float32Array, about: About, run: Run) {
  const size = about.num_samples;
  const rows = new Float32Array(batch.length * size);
  const own = new Int32Array(batch.length);
  batch.forEach((window, row) => {
    const piece = waveform.subarray(window.start, window.start + window.numSamples);
    const filled = about.pad === "repeat" ? size : piece.length;
    for (let i = 0; i < filled; i++) rows[row * size + i] = piece[i % piece.length]!;
    own[row] = filled;
  });
  const found = await run(rows, own);
  const speech = await speechSeconds(batch, waveform, about, run, found);
  batch.forEach((window, row) => {
    const seconds = window.numSamples / about.sample_rate_hz;
    if (speech && about.speech && about.gate.enabled) {
      const needed = Math.min(about.speech.needed_s, about.speech.needed_share * seconds);
      window.refusal = speechRefusal(speech[row]!, needed, seconds);
    }
    if (window.refusal) return;
    window.score = found.score![row]!;
    if (about.unlike_training) window.distance = found[about.unlike_training.output]![row]!;
  });
}

async function speechSeconds(
  batch: Window[],
  waveform: Float32Array,
  about: About,
  run: Run,
  found: Record<string, Float32Array>,
): Promise<Float32Array | undefined> {
  const output = about.speech?.output;
  if (!output) return undefined;
  const [only] = batch;
  const size = about.num_samples;
  if (!only || only.numSamples >= SHORT || size < SHORT + LEAD_IN) return found[output];
  const row = new Float32Array(size);
  row.set(waveform.subarray(only.start, only.start + only.numSamples), LEAD_IN);
  return (await run(row, Int32Array.of(LEAD_IN + only.numSamples)))[output];
}
