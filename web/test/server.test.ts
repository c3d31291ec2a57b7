import { expect, test, vi } from "vitest";
import { judge, judgeWindow } from "../src/decide";
import { asRecord } from "../src/report";
import { aboutOf, refusal, scoresByServer, type ServerModel } from "../src/server";
import { readWav, writeWavOf } from "../src/wav";

const ORIGIN = "https://scores.example";
const MODEL: ServerModel = {
  name: "general_1",
  digest: "d",
  threshold: 0.5,
  threshold_on: "llr",
  threshold_rule: "cost",
  calibration: { kind: "affine", scale: 2, offset: 0.1 },
  window_s: 1,
  aggregation: "mean",
};
const WINDOW = { start_s: 0, end_s: 1, verdict: "spoof", score: -1, llr: -2, p_spoof: 0.88 };
const RECORD = {
  ...{ path: "-", verdict: "spoof", score: -1, llr: -2, p_spoof: 0.88, prior: 0.5, reason: null },
  ...{ duration_s: 1.5, scored_s: 1, num_windows: 1, request_id: "r", windows: [WINDOW] },
};
const audio = { rateHz: 16_000, channels: [Float32Array.of(0, 0.5, -0.5), Float32Array.of(0, 0, 0.25)] };

function answering(answers: Record<string, Response | Error>) {
  return vi.fn<typeof fetch>((url) => {
    const answer = answers[new URL(url as string).pathname]!;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer.clone());
  });
}

function good() {
  return answering({ "/v1/model": Response.json(MODEL), "/v1/score": Response.json(RECORD) });
}

const none = () => undefined;

test("a recording is sent with the key, the record is kept", async () => {
  const ask = good();
  const engine = scoresByServer(ORIGIN, () => "rj_x", ask);
  const { about, scored, waveform } = await engine.score({ audio }, none);
  const [url, sent] = ask.mock.calls[1]!;
  expect(url).toBe(`${ORIGIN}/v1/score?windows=true`);
  expect(sent).toMatchObject({ method: "POST", credentials: "omit" });
  expect(sent!.headers).toEqual({ Authorization: "Bearer rj_x" });
  expect(readWav(sent!.body as ArrayBuffer).channels).toEqual(audio.channels);
  expect(waveform).toHaveLength(3);
  const settings = { threshold: -5, prior: 0.5 };
  expect(judge(scored, about, settings)).toMatchObject({ verdict: "spoof", score: -1, llr: -2 });
  expect(judgeWindow(scored.windows[0]!, about, settings).verdict).toBe("spoof");
  expect(asRecord("a.wav", scored, about, settings)).toMatchObject({
    ...{ path: "a.wav", request_id: "r", duration_s: 1.5, spoof_s: [[0, 1]], scored_s: 1 },
  });
});

test("the prior moves P(spoof), and no verdict", async () => {
  const { about, scored } = await scoresByServer(ORIGIN, () => "", good()).score({ audio }, none);
  const said = judge(scored, about, { threshold: 9, prior: 0.01 });
  expect(said.verdict).toBe("spoof");
  expect(said.p_spoof).toBeCloseTo(1 / (1 + Math.exp(-2) * 99));
});

test("the model is asked for once for each key; without a key no header is sent", async () => {
  const ask = good();
  let key = "";
  const engine = scoresByServer(ORIGIN, () => key, ask);
  await engine.score({ audio }, none);
  await engine.score({ audio }, none);
  expect(ask.mock.calls.map(([, sent]) => sent!.headers)).toEqual([{}, {}, {}]);
  key = "rj_y";
  await engine.score({ audio }, none);
  expect(ask).toHaveBeenCalledTimes(5);
});

test("a file goes as it is, also one that the browser cannot decode", async () => {
  const ask = good();
  const content = Uint8Array.of(1, 2, 3).buffer;
  const { waveform } = await scoresByServer(ORIGIN, () => "", ask).score({ content }, none);
  expect(waveform).toBeNull();
  expect(ask.mock.calls[1]![1]!.body).toBe(content);
});

test.each([
  [401, "does not know this key"],
  [403, "key of an analyst"],
  [413, "larger than the server takes"],
  [415, "as audio"],
  [422, "cannot judge this file: too long"],
  [429, "Too many requests with this key. Try again in 7 s."],
  [503, "busy or not ready. Try again in 7 s."],
  [500, "status 500"],
])("status %i is a sentence", async (status, words) => {
  const problem = Response.json({ detail: "too long" }, { status, headers: { "Retry-After": "7" } });
  const ask = answering({ "/v1/model": Response.json(MODEL), "/v1/score": problem });
  await expect(scoresByServer(ORIGIN, () => "x", ask).score({ audio }, none)).rejects.toThrow(words);
});

test("without Retry-After no time is named", () => {
  expect(refusal(503, "", null)).toBe("The server is busy or not ready. Try again later.");
});

test("a server that cannot be reached, is slow, or another one is named", async () => {
  const gone = answering({ "/v1/model": new TypeError("failed") });
  const here = scoresByServer(ORIGIN, () => "", gone).score({ audio }, none);
  await expect(here).rejects.toThrow(`${ORIGIN} cannot be reached`);
  const slow = answering({ "/v1/model": new DOMException("late", "TimeoutError") });
  const late = scoresByServer(ORIGIN, () => "", slow).score({ audio }, none);
  await expect(late).rejects.toThrow("did not answer within two minutes");
  const other = answering({ "/v1/model": Response.json(MODEL), "/v1/score": Response.json([]) });
  const wrong = scoresByServer(ORIGIN, () => "", other).score({ audio }, none);
  await expect(wrong).rejects.toThrow("did not answer as rawnet_jax does");
});

test("a threshold that a key may not see is none", () => {
  expect(aboutOf({ ...MODEL, threshold: null }).threshold).toBeNull();
  expect(aboutOf(MODEL).threshold).toEqual({ value: 0.5, of: "llr", rule: "cost" });
});

test("channels stand side by side in a WAV file", () => {
  expect(readWav(writeWavOf(audio))).toEqual(audio);
});
