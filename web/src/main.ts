/** The page: what is put on it, what it says, what moves it. */

import { cardElements } from "./card";
import { judge, ownThreshold, sentence, spoofSpans, type Settings } from "./decide";
import { draw, type View } from "./draw";
import type { Engine, Found, Given } from "./engine";
import { UserError } from "./errors";
import { scoresHere } from "./local";
import { prepare, record, type Recording } from "./record";
import { asCsv, asRecord } from "./report";
import { SAMPLE_RATE_HZ, noise, silence, vowels } from "./samples";
import { explained, percent, rates, sourceOf, type Measured } from "./say";
import { scoresByServer } from "./server";
import type { About, Said, Scored } from "./types";
import { claim, normalised, type Voice } from "./voice";
import { writeWav } from "./wav";

const MAX_BYTES = 200e6;
const MAX_SECONDS = 1800;

/** What `python -m rawnet_jax web` leaves beside the page. */
interface PageInfo {
  name: string;
  card: string;
  measured: Measured | null;
  /** Origin of the server that scores; null = the page does. */
  server: string | null;
  /** Whom all recordings are said to be of; null = anybody. */
  voice: Voice | null;
}

interface State {
  engine?: Engine;
  about?: About;
  info?: PageInfo;
  name: string;
  scored?: Scored;
  waveform?: Float32Array | null;
  settings: Settings;
  view: View;
  asked: number;
  recording?: Recording;
  playUntil: number;
}

const state: State = {
  name: "",
  settings: { threshold: 0, prior: 0.5 },
  view: "waveform",
  asked: 0,
  playUntil: Infinity,
};

function get<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no element ${id}`);
  return found as T;
}

const status = get("status");
const player = get<HTMLAudioElement>("player");
const canvas = get<HTMLCanvasElement>("picture");
const prior = get<HTMLInputElement>("prior");
const threshold = get<HTMLInputElement>("threshold");
const recordButton = get<HTMLButtonElement>("record");
function say(text: string) {
  status.textContent = text;
}

function fail(message: string) {
  const error = get("error");
  error.textContent = message;
  error.hidden = false;
  get("progress").hidden = true;
  say("");
}

function showProgress(share: number | null) {
  const bar = get<HTMLProgressElement>("progress");
  bar.hidden = share === null;
  if (share !== null) bar.value = share;
}

async function start() {
  const response = await fetch("page.json");
  if (!response.ok) throw new UserError("page.json could not be loaded.");
  const info = (await response.json()) as PageInfo;
  state.info = info;
  get("model-name").textContent = info.name;
  get("card").replaceChildren(...cardElements(info.card));
  if (info.voice) get("claim").textContent = claim(info.voice);
  get("claim").hidden = !info.voice;
  state.engine = info.server ? byServer(info.server) : scoresHere(new URL(".", document.baseURI).href);
  const about = await state.engine.load((what) => {
    say(`${what}…`);
  });
  if (about) know(about);
  await prepare().catch(() => undefined); // a device without sound can still judge files
  document.querySelectorAll<HTMLButtonElement>("#drop button, #drop input").forEach((one) => {
    one.disabled = false;
  });
  document.body.dataset.ready = "yes";
  say("Ready.");
}

/** Returns the server's engine; the page says where recordings go, and asks for the key. */
function byServer(origin: string): Engine {
  get("where").textContent = `Recordings are sent to ${origin}, which scores them.`;
  get("asks").textContent = `It asks ${origin}, and no other server, for anything.`;
  get("limits").textContent = "Drop a file here, of any kind and size that the server takes.";
  get("key-of").textContent = `Key for ${origin}`;
  get("server").hidden = false;
  get("threshold-moves").hidden = true;
  const key = get<HTMLInputElement>("key");
  return scoresByServer(origin, () => key.value.trim());
}

/** Takes what is known of the model. */
function know(about: About) {
  if (state.about === about) return;
  state.about = about;
  resetThreshold();
  if (!state.info?.server || about.model === state.info.name) return;
  get("model-name").textContent = about.model;
  get("card").textContent = `The server scores with ${about.model}, of which this page has no card.`;
  state.info.measured = null;
}

function begin(name: string) {
  if (!state.engine) throw new UserError("The model is still being loaded.");
  state.name = name;
  state.asked++;
  get("error").hidden = true;
  get("result").hidden = true;
  player.pause();
  showProgress(0);
  say(`Scoring ${name}…`);
}

async function take(file: File) {
  begin(file.name);
  if (file.size > MAX_BYTES) {
    const size = (file.size / 1e6).toFixed(0);
    throw new UserError(`${file.name} has ${size} MB; at most 200 MB can be taken.`);
  }
  const content = await file.arrayBuffer();
  if (!content.byteLength) throw new UserError(`${file.name} is empty.`);
  await score({ content });
}

async function score(given: Given) {
  const id = state.asked;
  const isLast = () => id === state.asked;
  try {
    const found = await state.engine!.score(given, (share) => {
      if (isLast()) showProgress(share);
    });
    if (isLast()) show(found);
  } catch (error) {
    if (isLast()) throw error;
  }
}

function show({ about, scored, waveform }: Found) {
  know(about);
  const voice = state.info?.voice;
  state.scored = voice ? normalised(scored, about, voice) : scored;
  state.waveform = waveform;
  showProgress(null);
  if (player.src) URL.revokeObjectURL(player.src);
  get("heard").hidden = canvas.hidden = get("legend").hidden = waveform === null;
  if (waveform) {
    const sound = new Blob([writeWav(waveform, about.sample_rate_hz)], { type: "audio/wav" });
    player.src = URL.createObjectURL(sound);
  }
  get("result").hidden = false;
  const seconds = scored.numSamples / about.sample_rate_hz;
  get("file-name").textContent = `${state.name}, ${seconds.toFixed(1)} s`;
  const said = update();
  say(`Done. ${sentence(said)}`);
  get("verdict").focus({ preventScroll: true });
  get("result").scrollIntoView({ block: "nearest" });
}

/** Says and draws everything anew; returns what is said of the recording. */
function update(): Said {
  const { about, scored, settings } = state;
  if (!about || !scored) throw new Error("there is no recording");
  const said = judge(scored, about, settings);
  get("verdict").textContent = sentence(said);
  const more = [explained(said, about, settings), ...(scored.notes ?? []).map((note) => `Note: ${note}.`)];
  get("explained").textContent = more.join(" ");
  const source = get("source");
  source.textContent = sourceOf(said, about);
  source.hidden = !source.textContent;
  get("probability").hidden = said.p_spoof === null;
  get("p-spoof").textContent = `P(spoof) = ${percent(said.p_spoof ?? 0)} at a prior of ${percent(settings.prior)}`;
  get("prior-value").textContent = percent(settings.prior);
  get("threshold-value").textContent = settings.threshold.toFixed(2);
  get("rates").textContent = rates(about, state.info?.measured ?? null, settings);
  showSpans();
  showTable();
  picture();
  return said;
}

function showSpans() {
  const spans = spoofSpans(state.scored!, state.about!, state.settings);
  const items = spans.map(({ start_s, end_s }) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Play ${start_s.toFixed(1)} to ${end_s.toFixed(1)} s`;
    button.addEventListener("click", () => {
      player.currentTime = start_s;
      state.playUntil = end_s;
      void player.play();
    });
    item.append(button);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    item.textContent = "None at this threshold.";
    items.push(item);
  }
  get("spans").replaceChildren(...items);
}

function showTable() {
  const record = asRecord(state.name, state.scored!, state.about!, state.settings);
  const number = (value: number | null) => (value === null ? "–" : value.toFixed(2));
  const rows = record.windows.map((window) => {
    const row = document.createElement("tr");
    const { start_s, end_s, verdict, score, llr, p_spoof } = window;
    const cells = [start_s.toFixed(1), end_s.toFixed(1), verdict, ...[score, llr, p_spoof].map(number)];
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  });
  get("windows").replaceChildren(...rows);
  const spans = record.spoof_s.map(([from, to]) => `${from!.toFixed(1)} to ${to!.toFixed(1)} s`);
  const said = spans.length ? `called synthetic: ${spans.join(", ")}` : "no span called synthetic";
  canvas.setAttribute("aria-label", `${state.view} over ${String(rows.length)} windows; ${said}`);
}

function picture() {
  const { waveform, scored, about, settings, view } = state;
  if (!waveform || !scored || !about || get("result").hidden) return;
  const playhead = player.currentTime > 0 ? player.currentTime : null;
  draw(canvas, { waveform, scored, about, settings, view, playhead });
}

function setThreshold(value: number) {
  state.settings.threshold = value;
  threshold.value = String(value);
}

function resetThreshold() {
  const own = ownThreshold(state.about!);
  const { lowest_score: low = own - 10, highest_score: high = own + 10 } = state.about!.threshold ?? {};
  threshold.min = low.toFixed(2);
  threshold.max = high.toFixed(2);
  setThreshold(own);
  state.settings.threshold = own; // the slider has rounded it
}

async function toggleRecording() {
  if (state.recording) {
    const { recording } = state;
    delete state.recording;
    recordButton.textContent = "Record";
    recordButton.setAttribute("aria-pressed", "false");
    const audio = await recording.stop();
    begin("Recording");
    await score({ audio });
    return;
  }
  const begun = await record(
    (seconds) => {
      recordButton.textContent = `Stop (${seconds.toFixed(0)} s)`;
      if (seconds >= MAX_SECONDS) stopRecording();
    },
    stopRecording,
  );
  state.recording = begun;
  recordButton.setAttribute("aria-pressed", "true");
  const { processing } = begun;
  say(
    processing
      ? `Recording. This browser left on: ${processing}. It changes speech, and with it the score.`
      : "Recording, without the browser's processing.",
  );
}

function stopRecording() {
  if (state.recording) attempt(toggleRecording());
}

function save(content: Blob, ending: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = `${state.name.replace(/\.[^.]*$/, "") || "recording"}.${ending}`;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 1000);
}

function attempt(work: Promise<unknown>) {
  work.catch((error: unknown) => {
    fail(error instanceof Error ? error.message : String(error));
  });
}

function on(id: string, event: string, act: () => void) {
  get(id).addEventListener(event, act);
}

function listen() {
  const drop = get("drop");
  const file = get<HTMLInputElement>("file");
  on("file", "change", () => {
    const [chosen] = file.files ?? [];
    if (chosen) attempt(take(chosen));
    file.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", () => {
    drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped) attempt(take(dropped));
  });
  document.querySelectorAll<HTMLButtonElement>("[data-sample]").forEach((button) => {
    button.addEventListener("click", () => {
      const made = { vowels, noise, silence }[button.dataset.sample as "vowels"];
      begin(button.textContent);
      attempt(score({ audio: { rateHz: SAMPLE_RATE_HZ, channels: [made(6)] } }));
    });
  });
  on("record", "click", () => {
    attempt(toggleRecording());
  });
  on("prior", "input", () => {
    state.settings.prior = Number(prior.value) / 100;
    update();
  });
  on("threshold", "input", () => {
    state.settings.threshold = Number(threshold.value);
    update();
  });
  on("own-threshold", "click", () => {
    resetThreshold();
    update();
  });
  on("view", "click", () => {
    state.view = state.view === "waveform" ? "spectrogram" : "waveform";
    get("view").setAttribute("aria-pressed", String(state.view === "spectrogram"));
    update();
  });
  on("json", "click", () => {
    const found = asRecord(state.name, state.scored!, state.about!, state.settings);
    save(new Blob([`${JSON.stringify(found, null, 1)}\n`], { type: "application/json" }), "json");
  });
  on("csv", "click", () => {
    save(new Blob([asCsv(state.scored!, state.about!, state.settings)], { type: "text/csv" }), "csv");
  });
  on("png", "click", () => {
    canvas.toBlob((content) => {
      if (content) save(content, "png");
    });
  });
  player.addEventListener("timeupdate", () => {
    if (player.currentTime >= state.playUntil) player.pause();
    picture();
  });
  player.addEventListener("pause", () => {
    state.playUntil = Infinity;
  });
  new ResizeObserver(picture).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", picture);
}

listen();
attempt(start());
