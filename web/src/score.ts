/** A recording to the scores of its windows, as rawnet_jax/scoring/file_windows.py does it. */

import { seeks } from "./decide";
import { levelRefusal, mixed, speechRefusal } from "./gate";
import { resample } from "./resample";
import type { About, Audio, Scored, Window } from "./types";

/** Runs the network on rows of `about.num_samples`; returns every output by name, a value a row. */
export type Run = (rows: Float32Array, own: Int32Array) => Promise<Record<string, Float32Array>>;

const BATCH = 4;
const SHORT = 16_000; // a shorter window is heard for speech after silence, as in Python
const FRAME = 512; // of what finds speech
const LEAD_IN = 3 * FRAME;
const MARGIN = 1600; // from where the window that decides begins to its speech

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

/** Scores a recording: all of its windows, for the time line, also where one of them decides. */
export async function score(
  waveform: Float32Array,
  about: About,
  run: Run,
  progress: (done: number, total: number) => void = () => undefined,
): Promise<Scored> {
  const size = about.num_samples;
  const hop = about.longer.hop_samples ?? Math.max(1, Math.round(size / 2));
  const places = starts(waveform.length, size, hop);
  const sought = seeks(about) ? await seek(places, hop, waveform, about, run) : null;
  const windows = (sought?.later ?? places).map((start) => look(start, waveform, about));
  const judged = windows.filter((window) => window.refusal === null);
  for (let i = 0; i < judged.length; i += BATCH) {
    await scoreBatch(judged.slice(i, i + BATCH), waveform, about, run);
    progress(Math.min(i + BATCH, judged.length), judged.length);
  }
  return { numSamples: waveform.length, windows: [...(sought?.found ?? []), ...windows], refusal: null };
}

function look(start: number, waveform: Float32Array, about: About): Window {
  const piece = waveform.subarray(start, start + about.num_samples);
  const refusal = levelRefusal(piece, about.gate, about.sample_rate_hz);
  return { start, numSamples: piece.length, score: null, distance: null, refusal };
}

/** Returns the windows from `start` on where the one before them ended at `end`. */
function following(length: number, size: number, hop: number, start: number, end: number): number[] {
  const found: number[] = [];
  for (let next = start; next + size <= length; next += hop) found.push(next);
  const reached = (found.at(-1) ?? end - size) + size;
  return reached < length ? [...found, length - size] : found;
}

/**
 * Returns the windows up to the one that decides, and where later ones begin.
 *
 * It is the first that can be judged, moved to where its speech begins, as
 * rawnet_jax/scoring/seek.py moves it.
 */
async function seek(
  places: number[],
  hop: number,
  waveform: Float32Array,
  about: About,
  run: Run,
): Promise<{ found: Window[]; later: number[] }> {
  const size = about.num_samples;
  const found: Window[] = [];
  for (const start of places) {
    const window = look(start, waveform, about);
    if (!window.refusal) await scoreBatch([window], waveform, about, run);
    found.push(window);
    if (window.refusal) continue;
    const onset = start ? await speechOnset(window, waveform, about, run) : 0;
    const moved = start + Math.max(0, onset - MARGIN);
    const [next = start] =
      moved > start ? following(waveform.length, size, hop, moved, start + size) : [];
    const closer = look(next, waveform, about);
    if (next > start && !closer.refusal) {
      // It holds all the speech that the one before was let pass for.
      await scoreBatch([closer], waveform, about, run, false);
      found.splice(-1, 1, closer);
    }
    return { found, later: following(waveform.length, size, hop, next + hop, next + size) };
  }
  return { found, later: [] };
}

/**
 * Returns the first sample of the first frame of speech in a window.
 *
 * The file tells seconds of speech in a row, which a frame depends on only by what comes before it.
 * So the shortest beginning that holds any is looked for, by halves.
 */
async function speechOnset(window: Window, waveform: Float32Array, about: About, run: Run) {
  const piece = waveform.subarray(window.start, window.start + window.numSamples);
  let low = 0;
  let high = Math.ceil(piece.length / FRAME) - 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const own = (middle + 1) * FRAME;
    const row = new Float32Array(about.num_samples);
    row.set(piece.subarray(0, own));
    const speech = (await run(row, Int32Array.of(own)))[about.speech!.output!]!;
    if (speech[0]! > 0) high = middle;
    else low = middle + 1;
  }
  return low * FRAME;
}

async function scoreBatch(
  batch: Window[],
  waveform: Float32Array,
  about: About,
  run: Run,
  needsSpeech = true,
) {
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
    if (needsSpeech && speech && about.speech && about.gate.enabled) {
      const needed = Math.min(about.speech.needed_s, about.speech.needed_share * seconds);
      window.refusal = speechRefusal(speech[row]!, needed, seconds);
    }
    if (window.refusal) return;
    window.score = found.score![row]!;
    if (about.sources) {
      const places = found[about.sources.output]!;
      const width = places.length / batch.length;
      window.coordinates = places.slice(row * width, (row + 1) * width);
    }
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
