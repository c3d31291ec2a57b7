/** What the page says of a verdict, in sentences. */

import { ownThreshold, type Settings } from "./decide";
import { NONE_OF_THESE } from "./source";
import type { About, Said } from "./types";

interface Rates {
  threshold: number;
  miss: number;
  false_alarm: number;
}

/** Error rates that were measured. */
export interface Measured {
  on: string;
  points: Rates[];
  is_curve: boolean;
}

export function explained(said: Said, about: About, settings: Settings): string {
  if (said.verdict === "cannot judge") return `Why: ${said.reason ?? "not known"}.`;
  const name = said.verdict === "spoof" ? "synthetic" : "genuine";
  const call = `The score, ${said.score!.toFixed(2)}, is called ${name} at the threshold of ${settings.threshold.toFixed(2)}.`;
  if (said.llr === null) return call;
  const ratio = Math.exp(Math.abs(said.llr));
  const [is, not] = said.llr < 0 ? ["synthetic", "genuine"] : ["genuine", "synthetic"];
  const bounds = about.calibration?.bounds;
  const ends = bounds ? " This model never says more than its trials support." : "";
  const atEnd = bounds?.some((bound) => Math.abs(bound - said.llr!) < 1e-9) ? ends : "";
  return `Such a score is ${ratio.toFixed(1)} times as likely for ${is} speech as for ${not} speech (LLR ${said.llr.toFixed(2)}).${atEnd} ${call}`;
}

/** Returns which family of engines a fake comes from, in words; "" where there is nothing to say. */
export function sourceOf(said: Said, about: About): string {
  if (!said.source) return "";
  if (said.source !== NONE_OF_THESE) return `Source: ${said.source}, by the fakes that this model knows.`;
  const known = about.sources?.names.join(", ");
  return `Source: ${known ? `none of ${known}` : "none that this model knows"}, as far as it is sure.`;
}

export function rates(about: About, measured: Measured | null, settings: Settings): string {
  const own = about.threshold;
  const rule = own && isOwn(about, settings) ? `This is the model's own threshold (${own.rule}). ` : "";
  if (!measured) return `${rule}Error rates were not measured for this model.`;
  const here = settings.threshold;
  const at = measured.is_curve
    ? (measured.points.findLast((one) => one.threshold <= here) ?? measured.points[0])
    : measured.points.find((one) => Math.abs(one.threshold - here) < 0.006);
  if (at) {
    return `${rule}Measured here, ${measured.on}: ${percent(at.miss)} of genuine speech called synthetic, ${percent(at.false_alarm)} of synthetic speech passed.`;
  }
  const places = measured.points.map((one) => one.threshold.toFixed(2)).join(", ");
  return `${rule}Error rates were measured at ${places} only, not here.`;
}

function isOwn(about: About, settings: Settings): boolean {
  return Math.abs(ownThreshold(about) - settings.threshold) < 0.006;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}
