/** Which family of engines a fake comes from, as rawnet_jax/metrics/source.py names it. */

import type { Sources } from "./types";

export const NONE_OF_THESE = "none of these";

/** Returns the family, or `NONE_OF_THESE`, of windows that lie at these coordinates. */
export function familyOf(coordinates: Float32Array[], sources: Sources): string {
  const [first] = coordinates;
  const width = first?.length ?? 0;
  const squares = sources.means.map((mean) => {
    let square = 0;
    for (let i = 0; i < width; i++) {
      const at = coordinates.reduce((sum, one) => sum + one[i]!, 0) / coordinates.length;
      square += (at - mean[i]!) ** 2;
    }
    return square;
  });
  const lowest = Math.min(...squares);
  const probability = 1 / squares.reduce((sum, one) => sum + Math.exp((lowest - one) / 2), 0);
  const isSure = Math.sqrt(lowest / width) <= sources.farthest && probability >= sources.least;
  return (isSure && sources.names[squares.indexOf(lowest)]) || NONE_OF_THESE;
}
