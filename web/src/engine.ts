/** What scores recordings: this browser (local.ts) or a server (server.ts). */

import type { About, Audio, Scored } from "./types";

/** A recording: a file as it is, or samples. */
export type Given = { content: ArrayBuffer } | { audio: Audio };

export interface Found {
  about: About;
  scored: Scored;
  /** As the network hears it; null where the browser cannot decode what the server can. */
  waveform: Float32Array | null;
}

export interface Engine {
  /** Gets ready; returns what is known of the model by then. */
  load(say: (what: string) => void): Promise<About | null>;
  score(given: Given, progress: (share: number) => void): Promise<Found>;
}
