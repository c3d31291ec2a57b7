/** Clips made by code: nobody's voice. */

const RATE_HZ = 16_000;
/** Formants of vowels in Hz, after Peterson and Barney (1952), means of men. */
const VOWELS = [
  [730, 1090, 2440],
  [270, 2290, 3010],
  [300, 870, 2240],
  [530, 1840, 2480],
] as const;
const BANDWIDTHS_HZ = [80, 90, 120];

/** Vowels by a buzz through formant filters, as synthesisers of the 1970s made them. */
export function vowels(seconds: number): Float32Array {
  const result = new Float32Array(seconds * RATE_HZ);
  const states = BANDWIDTHS_HZ.map(() => [0, 0]);
  let phase = 0;
  for (let i = 0; i < result.length; i++) {
    const t = i / RATE_HZ;
    phase += (110 + 15 * Math.sin(2 * Math.PI * 0.7 * t) - 8 * (t % 2)) / RATE_HZ;
    let x = 0;
    if (phase >= 1) {
      phase -= 1;
      x = 1;
    }
    const vowel = VOWELS[Math.floor(t / 0.28) % VOWELS.length]!;
    states.forEach((state, k) => {
      const r = Math.exp((-Math.PI * BANDWIDTHS_HZ[k]!) / RATE_HZ);
      const b = 2 * r * Math.cos((2 * Math.PI * vowel[k]!) / RATE_HZ);
      const y = (1 - b + r * r) * x + b * state[0]! - r * r * state[1]!;
      state[1] = state[0]!;
      state[0] = y;
      x = y;
    });
    const syllable = Math.sin((Math.PI * (t % 0.28)) / 0.28) ** 0.7;
    result[i] = x * syllable;
  }
  const peak = result.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  return result.map((value) => (0.5 * value) / peak);
}

/** White noise, always the same. */
export function noise(seconds: number): Float32Array {
  let state = 1;
  return new Float32Array(seconds * RATE_HZ).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 0.2 * (state / 2 ** 31 - 1);
  });
}

export function silence(seconds: number): Float32Array {
  return new Float32Array(seconds * RATE_HZ);
}

export const SAMPLE_RATE_HZ = RATE_HZ;
