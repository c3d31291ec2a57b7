/** What can be taken away: the record of `score --format jsonl --windows`, a table, a picture. */

import { deciding, judge, judgeWindow, spoofSpans, type Settings } from "./decide";
import type { About, Scored } from "./types";

export function asRecord(path: string, scored: Scored, about: About, settings: Settings) {
  const rate = about.sample_rate_hz;
  const { reason, ...verdict } = judge(scored, about, settings);
  const chosen = verdict.score === null ? [] : deciding(scored, about).map((i) => scored.windows[i]!);
  const made = {
    path,
    ...verdict,
    prior: about.calibration ? settings.prior : null,
    duration_s: scored.numSamples / rate,
    scored_s: covered(chosen.map((one) => [one.start, one.start + one.numSamples])) / rate,
    num_windows: chosen.length,
    scored_from_s: chosen.length ? Math.min(...chosen.map((one) => one.start)) / rate : 0,
    reason,
    notes: scored.notes ?? [],
    spoof_s: spoofSpans(scored, about, settings).map((span) => [span.start_s, span.end_s]),
    windows: scored.windows.map((window) => {
      const { verdict, score, llr, p_spoof } = judgeWindow(window, about, settings);
      const start_s = window.start / rate;
      const end_s = (window.start + window.numSamples) / rate;
      return { start_s, end_s, verdict, score, llr, p_spoof };
    }),
    model: { run: about.run, ...about.checkpoint },
    threshold: settings.threshold,
  };
  // What a server counted stays as it is; P(spoof) is at the user's prior.
  return { ...made, ...scored.told, ...verdict, path, prior: made.prior, windows: made.windows };
}

function covered(bounds: [number, number][]): number {
  let total = 0;
  let reached = -Infinity;
  for (const [start, end] of bounds.sort((a, b) => a[0] - b[0])) {
    total += Math.max(0, end - Math.max(start, reached));
    reached = Math.max(reached, end);
  }
  return total;
}

export function asCsv(scored: Scored, about: About, settings: Settings): string {
  const rows = asRecord("", scored, about, settings).windows;
  const names = ["start_s", "end_s", "verdict", "score", "llr", "p_spoof"] as const;
  const lines = rows.map((row) => names.map((name) => String(row[name] ?? "")).join(","));
  return `${[names.join(","), ...lines].join("\r\n")}\r\n`;
}
