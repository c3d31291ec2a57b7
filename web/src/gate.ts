/** Input that no score should be given for, as rawnet_jax/scoring/gate.py judges it. */

import type { Gate, Reason, Refusal } from "./types";

const FRAME_S = 0.02;
const AT_EXTREMES = 0.01;
const MAX_PEAK = 1e3;

/** Returns the average of all channels, and why it is not the recording; null where it is. */
export function mixed(
  channels: Float32Array[],
  gate: Gate,
): { mono: Float32Array; refusal: Refusal | null } {
  const [first] = channels;
  if (!first?.length) return { mono: new Float32Array(0), refusal: noSample() };
  if (channels.length === 1) return { mono: first, refusal: notFinite(first) };
  const mono = new Float32Array(first.length);
  for (let i = 0; i < mono.length; i++) {
    let sum = 0;
    for (const channel of channels) sum = Math.fround(sum + channel[i]!);
    mono[i] = sum / channels.length;
  }
  return { mono, refusal: notFinite(mono) ?? wrongChannel(channels, mono, gate) };
}

function noSample(): Refusal {
  return refused("too short", 0, "no sample is left at 16 kHz");
}

function notFinite(waveform: Float32Array): Refusal | null {
  const found = waveform.some((value) => !(Math.abs(value) <= MAX_PEAK));
  return found ? refused("not finite", 1, "it holds NaN, infinite or far too large samples") : null;
}

function wrongChannel(channels: Float32Array[], mono: Float32Array, gate: Gate): Refusal | null {
  if (!gate.enabled) return null;
  const levels = channels.map((channel) => {
    const { low, high } = statistics(channel);
    return 20 * Math.log10(Math.max((high - low) / 2, 1e-20));
  });
  const empty = levels.flatMap((level, i) => (level <= gate.silence_dbfs ? [i + 1] : []));
  if (empty.length === channels.length) return null; // silence is no matter of channels
  if (empty.length) {
    const what = `channel ${empty.join(", ")} of ${String(channels.length)} is empty`;
    return refused("wrong channel", Math.max(...empty.map((i) => levels[i - 1]!)), what);
  }
  const powers = channels.map(variance);
  const share = variance(mono) / (powers.reduce((a, b) => a + b, 0) / powers.length);
  if (share >= gate.min_mix_share) return null;
  return refused("wrong channel", share, "the channels cancel each other");
}

function statistics(waveform: Float32Array) {
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  let squares = 0;
  for (const value of waveform) {
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
    squares += value * value;
  }
  return { low, high, mean: sum / waveform.length, power: squares / waveform.length };
}

function variance(waveform: Float32Array): number {
  const { mean, power } = statistics(waveform);
  return power - mean * mean;
}

/** Looks at a window's level; of speech the network's own output tells. */
export function levelRefusal(window: Float32Array, gate: Gate, rateHz: number): Refusal | null {
  if (!gate.enabled) return null;
  const seconds = window.length / rateHz;
  if (!window.length || seconds < gate.min_duration_s) {
    const what = `${seconds.toFixed(4)} s; it must be ${String(gate.min_duration_s)} s or more`;
    return refused("too short", seconds, what);
  }
  const { low, high, mean, power } = statistics(window);
  if (low === 0 && high === 0) return refused("digital silence", 0, "every sample is 0");
  const constant = low === high ? 1 : Math.min((mean * mean) / power, 1);
  if (constant > gate.max_dc_share) {
    return refused("DC offset", constant, `${constant.toFixed(4)} of the power is constant`);
  }
  const active = activeSeconds(window, gate.silence_dbfs, rateHz);
  if (active < gate.min_active_s) {
    const what = `${active.toFixed(2)} s above ${String(gate.silence_dbfs)} dBFS; it must be ${String(gate.min_active_s)} s or more`;
    return refused("near silence", active, what);
  }
  const margin = (AT_EXTREMES * (high - low)) / 2;
  let clipped = 0;
  for (const value of window) if (value >= high - margin || value <= low + margin) clipped++;
  const share = clipped / window.length;
  if (share <= gate.max_clipped_share) return null;
  const what = `${share.toFixed(3)} of the samples lie at the highest or lowest level; the limit is ${String(gate.max_clipped_share)}`;
  return refused("heavy clipping", share, what);
}

function activeSeconds(waveform: Float32Array, silenceDbfs: number, rateHz: number): number {
  const frame = Math.min(Math.max(1, Math.round(FRAME_S * rateHz)), waveform.length);
  const least = 10 ** (silenceDbfs / 10);
  let count = 0;
  for (let start = 0; start + frame <= waveform.length; start += frame) {
    if (variance(waveform.subarray(start, start + frame)) > least) count++;
  }
  return (count * frame) / rateHz;
}

export function speechRefusal(found: number, needed: number, seconds: number): Refusal | null {
  // `found` is a float32: a sum of frames that is exactly what is needed must not fall below.
  if (found >= needed - 1e-5) return null;
  const what = `${found.toFixed(2)} s of speech in ${seconds.toFixed(2)} s; it must be ${String(Number(needed.toPrecision(2)))} s or more`;
  return refused("no speech", found, what);
}

/** Returns which refusal of two windows says more of a recording: that of the most speech. */
export function moreTelling(first: Refusal | null, second: Refusal | null): Refusal | null {
  if (!first || !second) return first ?? second;
  if (second.reason !== "no speech") return first;
  return first.reason !== "no speech" || second.value > first.value ? second : first;
}

function refused(reason: Reason, value: number, detail: string): Refusal {
  return { reason, value, detail };
}
