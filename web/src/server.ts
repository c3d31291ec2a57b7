/** Scores by a server: `python -m rawnet_jax serve`, whose page --origin names. */

import { decode } from "./decode";
import type { Engine, Given } from "./engine";
import { UserError } from "./errors";
import { heard } from "./score";
import type { About, Audio, Calibration, Said, Scored, Window } from "./types";
import { readWav, startsAsWav, writeWavOf } from "./wav";

const RATE_HZ = 16_000;
const LONGEST_MS = 120_000;

/** What `/v1/score?windows=true` answers; docs/serve.md. */
export interface ServerRecord extends Said {
  duration_s: number;
  windows: (Omit<Said, "reason"> & { start_s: number; end_s: number })[];
}

/** What the page uses of `/v1/model`. */
export interface ServerModel {
  name: string;
  digest: string;
  threshold: number | null;
  threshold_on: "score" | "llr";
  threshold_rule: string;
  calibration: Calibration | null;
  window_s: number;
  aggregation: string;
}

interface Problem {
  detail?: string;
}

export function scoresByServer(origin: string, key: () => string, ask = fetch): Engine {
  let known: { about: About; key: string } | undefined;

  async function answer(path: string, body?: ArrayBuffer): Promise<unknown> {
    const fields: Record<string, string> = key() ? { Authorization: `Bearer ${key()}` } : {};
    const signal = AbortSignal.timeout(LONGEST_MS);
    const sent = { headers: fields, signal, credentials: "omit", referrerPolicy: "no-referrer" } as const;
    let response: Response;
    try {
      response = await ask(`${origin}${path}`, body ? { ...sent, method: "POST", body } : sent);
    } catch (error) {
      throw new UserError(unreached(origin, error));
    }
    const said: unknown = await response.json().catch(() => null);
    if (response.ok && said !== null) return said;
    const problem = said as Problem | null;
    const wait = response.headers.get("Retry-After");
    throw new UserError(refusal(response.status, problem?.detail ?? "", wait));
  }

  return {
    load: () => Promise.resolve(null),
    async score(given) {
      const content = "content" in given ? given.content : writeWavOf(given.audio);
      if (known?.key !== key()) {
        known = { about: aboutOf((await answer("/v1/model")) as ServerModel), key: key() };
      }
      const { about } = known;
      const record = await answer("/v1/score?windows=true", content);
      if (!isRecord(record)) throw new UserError(`${origin} did not answer as rawnet_jax does.`);
      const waveform = await shown(given, about);
      return { about, scored: scoredOf(record), waveform };
    },
  };
}

/** Returns one sentence on why a server gave no verdict. */
export function refusal(status: number, detail: string, retryAfter: string | null): string {
  const again = retryAfter ? `Try again in ${retryAfter} s.` : "Try again later.";
  const more = detail ? `: ${detail}` : "";
  switch (status) {
    case 401:
      return "The server does not know this key. Enter one that it knows.";
    case 403:
      return "This key may not see scores. The page needs the key of an analyst.";
    case 408:
      return "The recording came too slowly for the server. Try again, or take a shorter one.";
    case 413:
      return `The recording is larger than the server takes${more}.`;
    case 415:
      return "The server does not know this file as audio.";
    case 422:
      return `The server cannot judge this file${more}.`;
    case 429:
      return `Too many requests with this key. ${again}`;
    case 503:
      return `The server is busy or not ready. ${again}`;
    default:
      return `The server answered with status ${String(status)}${more}.`;
  }
}

function unreached(origin: string, error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `${origin} did not answer within two minutes.`;
  }
  return `${origin} cannot be reached, or it was not started with --origin and the address of this page.`;
}

function isRecord(answer: unknown): answer is ServerRecord {
  const record = answer as Partial<ServerRecord>;
  return typeof record.verdict === "string" && Array.isArray(record.windows);
}

/** Returns what is known of the server's model, as of one that runs here. */
export function aboutOf(model: ServerModel): About {
  const { threshold, threshold_on, threshold_rule } = model;
  const off = { min_duration_s: 0, silence_dbfs: 0, min_active_s: 0 };
  return {
    run: model.name,
    model: model.name,
    checkpoint: { fingerprint: model.digest },
    license: "",
    sample_rate_hz: RATE_HZ,
    num_samples: Math.round(model.window_s * RATE_HZ),
    pad: "",
    gate: { enabled: false, ...off, max_dc_share: 1, max_clipped_share: 1, min_mix_share: 0 },
    speech: null,
    longer: { aggregate: model.aggregation },
    threshold: threshold === null ? null : { value: threshold, of: threshold_on, rule: threshold_rule },
    calibration: model.calibration,
    unlike_training: null,
  };
}

/** Returns a server's record as the page keeps it; the server's verdicts are not judged again. */
export function scoredOf(record: ServerRecord): Scored {
  const windows = record.windows.map((one): Window => {
    const start = Math.round(one.start_s * RATE_HZ);
    const numSamples = Math.round(one.end_s * RATE_HZ) - start;
    const told = { ...one, reason: null };
    return { start, numSamples, score: one.score, distance: null, refusal: null, told };
  });
  const numSamples = Math.round(record.duration_s * RATE_HZ);
  return { numSamples, windows, refusal: null, told: record };
}

async function shown(given: Given, about: About): Promise<Float32Array | null> {
  try {
    return heard("audio" in given ? given.audio : await read(given.content), about).waveform;
  } catch {
    return null;
  }
}

function read(content: ArrayBuffer): Promise<Audio> | Audio {
  return startsAsWav(content) ? readWav(content) : decode(content.slice(0));
}
