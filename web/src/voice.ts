/** Scores of an enrolled person's recordings, as rawnet_jax/scoring/enrolled.py reads them. */

import { deciding } from "./decide";
import type { About, Scored } from "./types";

/** Whom all recordings are said to be of; what `page.json` holds of an enrolled person. */
export interface Voice {
  name: string;
  num_clips: number;
  shift: number;
}

/** Returns the scores raised by what that person's are raised by, with a note that says so. */
export function normalised(scored: Scored, about: About, voice: Voice): Scored {
  if (scored.refusal || !deciding(scored, about).length) return scored;
  const windows = scored.windows.map((window) => ({
    ...window,
    score: window.score === null ? null : window.score + voice.shift,
  }));
  const shift = `${voice.shift < 0 ? "-" : "+"}${Math.abs(voice.shift).toFixed(3)}`;
  const note = `score ${shift} for ${voice.name}, by ${String(voice.num_clips)} recordings`;
  return { ...scored, windows, notes: [note] };
}

/** Returns what a visitor must know before a recording is given. */
export function claim({ name, num_clips }: Voice): string {
  return `Every recording is taken to be of ${name}: scores are read against ${String(num_clips)} recordings of that person. Of anybody else they say nothing.`;
}
