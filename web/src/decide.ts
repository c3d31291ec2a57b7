/** From scores to what is said, as rawnet_jax/scoring/verdict.py says it. */

import { moreTelling } from "./gate";
import { familyOf } from "./source";
import type { About, Calibration, Said, Scored, Window } from "./types";

/** What the user has set: of scores as they are, and the prior of spoof. */
export interface Settings {
  threshold: number;
  prior: number;
}

export interface Span {
  start_s: number;
  end_s: number;
}

const TRIMMED_SHARE = 0.2;

export function applyCalibration(calibration: Calibration | null, score: number): number | null {
  if (!calibration) return null;
  let llr: number;
  if (calibration.kind === "affine") {
    llr = (calibration.scale ?? 1) * score + (calibration.offset ?? 0);
  } else {
    llr = interpolated(score, calibration.scores ?? [], calibration.llrs ?? []);
  }
  const [low, high] = calibration.bounds ?? [-Infinity, Infinity];
  return Math.min(Math.max(llr, low), high);
}

function interpolated(x: number, xs: number[], ys: number[]): number {
  const after = xs.findIndex((knot) => knot > x);
  if (after === 0) return ys[0]!;
  if (after < 0) return ys.at(-1) ?? 0;
  const share = (x - xs[after - 1]!) / (xs[after]! - xs[after - 1]!);
  return ys[after - 1]! + share * (ys[after]! - ys[after - 1]!);
}

export function pSpoof(llr: number, prior: number): number {
  return 1 / (1 + (Math.exp(llr) * (1 - prior)) / prior);
}

/** Returns the threshold that the model came with, of scores as they are; 0 where it has none. */
export function ownThreshold(about: About): number {
  const { threshold, calibration } = about;
  if (!threshold) return 0;
  if (threshold.of === "score") return threshold.value;
  if (calibration?.kind !== "affine" || !calibration.scale) return 0;
  return (threshold.value - (calibration.offset ?? 0)) / calibration.scale;
}

/** Returns whether the first window that holds speech decides, as rawnet_jax/scoring/seek.py finds it. */
export function seeks(about: About): boolean {
  return about.longer.aggregate === "first" && about.gate.enabled && !!about.speech?.output;
}

/** Returns the windows that decide: indices into `scored.windows`. */
export function deciding(scored: Scored, about: About): number[] {
  const { windows } = scored;
  const counted = windows.flatMap((window, i) => (window.score === null ? [] : [i]));
  const byScore = [...counted].sort((a, b) => windows[a]!.score! - windows[b]!.score!);
  switch (about.longer.aggregate) {
    case "first":
      return seeks(about) || counted[0] === 0 ? counted.slice(0, 1) : [];
    case "max_spoof":
      return byScore.slice(0, 1);
    case "trimmed": {
      const cut = Math.floor(TRIMMED_SHARE * byScore.length);
      return byScore.slice(cut, byScore.length - cut);
    }
    default:
      return counted;
  }
}

/** Returns what is said of the whole recording. */
export function judge(scored: Scored, about: About, settings: Settings): Said {
  if (scored.told) return atPrior(scored.told, settings.prior);
  const chosen = deciding(scored, about).map((i) => scored.windows[i]!);
  if (scored.refusal ?? !chosen.length) {
    const isFirst = about.longer.aggregate === "first" && !seeks(about);
    const heard = isFirst ? scored.windows.slice(0, 1) : scored.windows;
    const why = heard.reduce(
      (found, window) => moreTelling(found, window.refusal),
      scored.refusal,
    );
    const reason = why ? `${why.reason}: ${why.detail}` : "too short: no sample is left at 16 kHz";
    return { verdict: "cannot judge", score: null, llr: null, p_spoof: null, reason };
  }
  const distances = chosen.map((window) => window.distance ?? NaN);
  const whole = said(mean(chosen.map((one) => one.score!)), mean(distances), about, settings, false);
  if (!about.sources) return whole;
  const places = chosen.flatMap((window) => window.coordinates ?? []);
  return { ...whole, source: whole.verdict === "spoof" ? familyOf(places, about.sources) : null };
}

export function judgeWindow(window: Window, about: About, settings: Settings): Said {
  if (window.told) return atPrior(window.told, settings.prior);
  if (window.score === null) {
    const reason = window.refusal ? `${window.refusal.reason}: ${window.refusal.detail}` : null;
    return { verdict: "cannot judge", score: null, llr: null, p_spoof: null, reason };
  }
  return said(window.score, window.distance ?? NaN, about, settings, true);
}

/** Returns what a server said, with P(spoof) at the user's prior. */
function atPrior(told: Said, prior: number): Said {
  const { verdict, score, llr, reason } = told;
  const p_spoof = told.p_spoof === null || llr === null ? null : pSpoof(llr, prior);
  const source = told.source === undefined ? {} : { source: told.source };
  return { verdict, score, llr, p_spoof, reason, ...source };
}

function said(
  score: number,
  distance: number,
  about: About,
  settings: Settings,
  ofWindow: boolean,
): Said {
  const { lowest_score: low = -Infinity, highest_score: high = Infinity } = about.threshold ?? {};
  const none = { verdict: "cannot judge" as const, score, llr: null, p_spoof: null };
  if (!Number.isFinite(score)) return { ...none, reason: "the score is not a finite number" };
  if (score < low || score > high) {
    return { ...none, reason: `outside the range of dev scores: ${score.toFixed(2)}` };
  }
  const llr = applyCalibration(about.calibration, score);
  const bound = about.unlike_training;
  const highest = bound && (ofWindow ? bound.highest_of_window : bound.highest);
  if (highest !== null && distance > highest) {
    const reason = `unlike anything this model was trained on: distance ${distance.toFixed(2)}; up to ${highest.toFixed(2)} is judged`;
    return { ...none, llr, reason };
  }
  const p_spoof = llr === null ? null : pSpoof(llr, settings.prior);
  const verdict = score >= settings.threshold ? "bonafide" : "spoof";
  return { verdict, score, llr, p_spoof, reason: null };
}

/** Returns what windows of spoof cover: apart and rising. */
export function spoofSpans(scored: Scored, about: About, settings: Settings): Span[] {
  const spans: Span[] = [];
  for (const window of scored.windows) {
    if (judgeWindow(window, about, settings).verdict !== "spoof") continue;
    const start_s = window.start / about.sample_rate_hz;
    const end_s = (window.start + window.numSamples) / about.sample_rate_hz;
    const last = spans.at(-1);
    if (last && start_s <= last.end_s) last.end_s = end_s;
    else spans.push({ start_s, end_s });
  }
  return spans;
}

/** Likelihood ratios at which evidence is called weak, moderate and strong. */
const WORDS: [number, string][] = [
  [100, "Strong"],
  [10, "Moderate"],
  [2, "Weak"],
];

/** Returns the verdict as one sentence in words of evidence. */
export function sentence(said: Said): string {
  if (said.verdict === "cannot judge") {
    const [reason] = (said.reason ?? "").split(":");
    return `Cannot judge: ${reason ?? ""}.`;
  }
  if (said.llr === null) {
    const side = said.verdict === "spoof" ? "below the threshold: spoof" : "at or above the threshold: bona fide";
    return `The score is ${side}. The model is not calibrated, so the strength of the evidence is not known.`;
  }
  const ratio = Math.exp(Math.abs(said.llr));
  const kind = said.llr < 0 ? "synthetic speech" : "genuine speech";
  const word = WORDS.find(([least]) => ratio >= least)?.[1];
  if (!word) return "No clear evidence of either genuine or synthetic speech.";
  return `${word} evidence of ${kind}.`;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
