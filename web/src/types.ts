/** Samples of a recording as it was made: float32 per channel, full scale 1. */
export interface Audio {
  rateHz: number;
  channels: Float32Array[];
}

/** Why input cannot be judged; the words are those of rawnet_jax.scoring.gate.Reason. */
export type Reason =
  | "not finite"
  | "too short"
  | "digital silence"
  | "near silence"
  | "DC offset"
  | "heavy clipping"
  | "wrong channel"
  | "no speech";

export interface Refusal {
  reason: Reason;
  detail: string;
  value: number;
}

export type Verdict = "bonafide" | "spoof" | "cannot judge";

/** What is said of a recording or a window. */
export interface Said {
  verdict: Verdict;
  score: number | null;
  llr: number | null;
  p_spoof: number | null;
  reason: string | null;
  /** Family of engines of a fake; null where it is called none, left out where none are known. */
  source?: string | null;
}

/** A window of the recording; `score` is null where the gate refused it. */
export interface Window {
  start: number;
  numSamples: number;
  score: number | null;
  distance: number | null;
  refusal: Refusal | null;
  coordinates?: Float32Array;
  told?: Said;
}

/**
 * What was found of a recording; the page reads verdicts from it.
 *
 * What a server judged stands in `told`, of the recording and of its windows.
 */
export interface Scored {
  numSamples: number;
  windows: Window[];
  refusal: Refusal | null;
  told?: Said;
  notes?: string[];
}

export interface Gate {
  enabled: boolean;
  min_duration_s: number;
  silence_dbfs: number;
  min_active_s: number;
  max_dc_share: number;
  max_clipped_share: number;
  min_mix_share: number;
}

export interface Calibration {
  kind: string;
  scale?: number;
  offset?: number;
  scores?: number[];
  llrs?: number[];
  bounds?: [number, number] | null;
}

/** The rule on sources of fakes. */
export interface Sources {
  output: string;
  names: string[];
  means: number[][];
  farthest: number;
  least: number;
}

/** The metadata of an exported ONNX file, of docs/export.md, that the page uses. */
export interface About {
  run: string;
  model: string;
  checkpoint: { fingerprint?: string };
  license: string;
  sample_rate_hz: number;
  num_samples: number;
  pad: string;
  gate: Gate;
  speech: { needed_s: number; needed_share: number; output: string | null } | null;
  longer: { aggregate: string; hop_samples?: number };
  threshold: {
    value: number;
    of: "score" | "llr";
    rule: string;
    lowest_score?: number;
    highest_score?: number;
  } | null;
  calibration: Calibration | null;
  unlike_training: { output: string; highest: number; highest_of_window: number } | null;
  sources?: Sources | null;
}
