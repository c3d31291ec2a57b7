/** Scores recordings away from the page, so that it stays responsive. */

import { UserError } from "./errors";
import { readAbout } from "./metadata";
import { heard, score, type Run } from "./score";
import type { About, Audio, Scored } from "./types";
import { readWav, startsAsWav } from "./wav";

export type Asked =
  | { kind: "load"; base: string }
  | { kind: "file"; id: number; content: ArrayBuffer }
  | { kind: "audio"; id: number; audio: Audio };

export type Told =
  | { kind: "loading"; what: string }
  | { kind: "ready"; about: About }
  | { kind: "progress"; id: number; done: number; total: number }
  | { kind: "result"; id: number; scored: Scored; waveform: Float32Array }
  | { kind: "error"; id: number | null; message: string };

type Runtime = typeof import("onnxruntime-web/wasm");

const MAX_SECONDS = 1800;

let about: About | undefined;
let run: Run | undefined;

const tell = (told: Told, transfer: Transferable[] = []) => {
  self.postMessage(told, { transfer });
};

self.onmessage = (event: MessageEvent<Asked>) => {
  const asked = event.data;
  answer(asked).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    const said = error instanceof UserError ? message : `This did not work: ${message}`;
    tell({ kind: "error", id: asked.kind === "load" ? null : asked.id, message: said });
  });
};

async function answer(asked: Asked) {
  if (asked.kind === "load") {
    await load(asked.base);
    return;
  }
  const { id } = asked;
  const audio = asked.kind === "audio" ? asked.audio : readWav(wav(asked.content));
  if (!about || !run) throw new UserError("The model is not loaded.");
  const seconds = (audio.channels[0]?.length ?? 0) / audio.rateHz;
  if (seconds > MAX_SECONDS) {
    const minutes = (seconds / 60).toFixed(0);
    throw new UserError(`The recording is ${minutes} minutes long; at most 30 can be taken.`);
  }
  const { waveform, refusal } = heard(audio, about);
  const scored: Scored = refusal
    ? { numSamples: waveform.length, windows: [], refusal }
    : await score(waveform, about, run, (done, total) => {
        tell({ kind: "progress", id, done, total });
      });
  // Of a file with one channel at the network's rate, this is the page's own array.
  const own = waveform.slice();
  tell({ kind: "result", id, scored, waveform: own }, [own.buffer]);
}

function wav(content: ArrayBuffer): ArrayBuffer {
  if (!startsAsWav(content)) {
    throw new UserError("This is no audio file that the browser can read.");
  }
  return content;
}

async function load(base: string) {
  tell({ kind: "loading", what: "Loading the model" });
  const [ort, binary, model] = await Promise.all([
    import(/* @vite-ignore */ new URL("ort/ort.wasm.min.mjs", base).href) as Promise<Runtime>,
    fetched(new URL("ort/ort-wasm-simd-threaded.wasm.gz", base)).then(unpacked),
    fetched(new URL("model.onnx", base)),
  ]);
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.wasmPaths = { mjs: new URL("ort/ort-wasm-simd-threaded.mjs", base).href };
  ort.env.wasm.numThreads = numThreads();
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model);
  about = readAbout(new Uint8Array(model));
  const size = about.num_samples;
  run = async (rows, own) => {
    const inputs: Record<string, InstanceType<Runtime["Tensor"]>> = {
      waveform: new ort.Tensor("float32", rows, [own.length, size]),
      num_samples: new ort.Tensor("int32", own, [own.length]),
    };
    const taken = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]!]));
    const found = await session.run(taken);
    return Object.fromEntries(
      Object.entries(found).map(([name, tensor]) => [name, tensor.data as Float32Array]),
    );
  };
  tell({ kind: "ready", about });
}

/** Threads need shared memory, which a page has that is isolated; on iOS they are known to hang. */
function numThreads(): number {
  const isApplePhone = /iPhone|iPad|iPod/.test(navigator.userAgent);
  if (!self.crossOriginIsolated || isApplePhone) return 1;
  return Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2)));
}

async function fetched(url: URL): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) {
    throw new UserError(`${url.pathname} could not be loaded (${String(response.status)}).`);
  }
  return response.arrayBuffer();
}

/** Some servers unpack what ends in .gz on the way, so the content decides. */
async function unpacked(content: ArrayBuffer): Promise<ArrayBuffer> {
  const [first, second] = new Uint8Array(content);
  if (first !== 0x1f || second !== 0x8b) return content;
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
