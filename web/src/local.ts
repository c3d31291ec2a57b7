/** Scores in this browser, in a worker, so that the page stays responsive. */

import { decode } from "./decode";
import type { Engine, Found } from "./engine";
import { UserError } from "./errors";
import type { About } from "./types";
import { startsAsWav } from "./wav";
import type { Asked, Told } from "./worker";

interface Waiting {
  resolve: (found: Found) => void;
  reject: (error: Error) => void;
  progress: (share: number) => void;
}

export function scoresHere(base: string): Engine {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, Waiting>();
  let about: About;
  let asked = 0;

  const send = (what: Asked, transfer: Transferable[] = []) => {
    worker.postMessage(what, transfer);
  };

  function hear(told: Told) {
    if (told.kind === "loading" || told.kind === "ready" || told.id === null) return;
    const one = waiting.get(told.id);
    if (told.kind === "progress") one?.progress(told.done / told.total);
    else waiting.delete(told.id);
    if (told.kind === "error") one?.reject(new UserError(told.message));
    if (told.kind === "result") one?.resolve({ ...told, about });
  }

  return {
    load: (say) =>
      new Promise((resolve, reject) => {
        worker.onerror = (event) => {
          reject(new UserError(`The page could not be started: ${event.message}`));
        };
        worker.onmessage = ({ data: told }: MessageEvent<Told>) => {
          if (told.kind === "loading") say(told.what);
          else if (told.kind === "ready") resolve((about = told.about));
          else if (told.kind === "error" && told.id === null) reject(new UserError(told.message));
          else hear(told);
        };
        send({ kind: "load", base });
      }),
    async score(given, progress) {
      const id = ++asked;
      const isFile = "content" in given && startsAsWav(given.content);
      const audio = "audio" in given ? given.audio : isFile ? null : await decode(given.content);
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, progress });
        if (audio) send({ kind: "audio", id, audio }, audio.channels.map((one) => one.buffer));
        else if ("content" in given) {
          send({ kind: "file", id, content: given.content }, [given.content]);
        }
      });
    },
  };
}
