/**
 * From any rate to the network's, by a polyphase filter under a Kaiser window.
 *
 * Pass band and stop band are those of soxr's quality "HQ", which the Python package uses: flat to
 * .913 of the lower of both Nyquist frequencies, and silent from there on.
 */

const PASS = 0.913;
const STOP = 1;
const ATTENUATION_DB = 125;

export function resample(waveform: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return waveform;
  const shared = gcd(fromHz, toHz);
  const up = toHz / shared;
  const down = fromHz / shared;
  const { phases, taps } = polyphase(up, fromHz, toHz);
  const before = taps / 2 - 1; // samples that a phase looks back
  const length = Math.round((waveform.length * up) / down);
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const position = i * down;
    const phase = position % up;
    const first = (position - phase) / up - before;
    const base = phase * taps;
    const from = Math.max(0, -first);
    const to = Math.min(taps, waveform.length - first);
    let sum = 0;
    for (let k = from; k < to; k++) sum += phases[base + k]! * waveform[first + k]!;
    result[i] = sum;
  }
  return result;
}

/** Returns for each phase p the weights of samples 1 - taps/2 to taps/2, at an offset of p/up. */
function polyphase(up: number, fromHz: number, toHz: number) {
  const nyquist = Math.min(1, toHz / fromHz); // of the input's own
  const width = (STOP - PASS) * nyquist;
  const cutoff = ((STOP + PASS) / 2) * nyquist;
  const half = Math.ceil((ATTENUATION_DB - 7.95) / (2.285 * Math.PI * width) / 2);
  const taps = 2 * half;
  const beta = 0.1102 * (ATTENUATION_DB - 8.7);
  const scale = bessel(beta);
  const phases = new Float32Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    for (let k = 0; k < taps; k++) {
      const t = k - (half - 1) - phase / up; // in samples of the input
      const r = t / half;
      const window = Math.abs(r) < 1 ? bessel(beta * Math.sqrt(1 - r * r)) / scale : 0;
      phases[phase * taps + k] = cutoff * sinc(cutoff * t) * window;
    }
  }
  return { phases, taps };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function of order 0. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
