/** ONNX Runtime for JavaScript does not show a file's metadata; it is field 14 of the file. */

import { UserError } from "./errors";
import type { About } from "./types";

const METADATA = 14;
const AS_THEY_ARE = new Set(["run", "model", "license", "pad"]);

export function readAbout(file: Uint8Array): About {
  const utf8 = new TextDecoder();
  const found: Record<string, unknown> = {};
  for (const [field, entry] of fields(file)) {
    if (field !== METADATA) continue;
    const parts = new Map(fields(entry));
    const key = utf8.decode(parts.get(1));
    const value = utf8.decode(parts.get(2));
    found[key] = AS_THEY_ARE.has(key) ? value : parsed(value);
  }
  if (found.format_version !== 1) {
    throw new UserError("The model is no ONNX file of rawnet_jax, or of another version.");
  }
  return found as unknown as About;
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function* fields(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new UserError("The model file is cut off.");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      const size = varint();
      yield [Math.floor(tag / 8), bytes.subarray(at, (at += size))];
    }
  }
}
