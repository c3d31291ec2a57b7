/** Waveform or spectrogram, and below it the time line of windows. */

import { judgeWindow, type Settings } from "./decide";
import type { About, Scored, Verdict } from "./types";

export type View = "waveform" | "spectrogram";

export interface Picture {
  waveform: Float32Array;
  scored: Scored;
  about: About;
  settings: Settings;
  view: View;
  playhead: number | null; // in seconds
}

const STRIP = 44; // CSS pixels, of the time line
const AXIS = 22;
const FRAME = 512;

/** A stretch of time and what the windows over it say, together. */
export interface Cell {
  start_s: number;
  end_s: number;
  verdict: Verdict;
}

/** Returns what is said of each stretch between two starts: most windows over it decide. */
export function cells(scored: Scored, about: About, settings: Settings): Cell[] {
  const { windows, numSamples } = scored;
  const edges = windows.map((window) => window.start);
  const verdicts = windows.map((window) => judgeWindow(window, about, settings).verdict);
  const ends = windows.map((window) => window.start + window.numSamples);
  const bounds = [...new Set([...edges, ...ends, numSamples])].sort((a, b) => a - b);
  return bounds.slice(0, -1).map((start, i) => {
    const end = bounds[i + 1]!;
    const over = verdicts.filter((_, k) => edges[k]! <= start && ends[k]! >= end);
    const count = (verdict: Verdict) => over.filter((one) => one === verdict).length;
    const [spoof, bonafide] = [count("spoof"), count("bonafide")];
    const verdict = !spoof && !bonafide ? "cannot judge" : spoof >= bonafide ? "spoof" : "bonafide";
    return { start_s: start / about.sample_rate_hz, end_s: end / about.sample_rate_hz, verdict };
  });
}

export function draw(canvas: HTMLCanvasElement, picture: Picture) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  if (!context || !width) return;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  context.fillStyle = colour("--card");
  context.fillRect(0, 0, width, height);
  const seconds = picture.waveform.length / picture.about.sample_rate_hz;
  const top = height - STRIP - AXIS - 6;
  if (picture.view === "waveform") {
    drawWaveform(context, picture.waveform, width, top, colour("--wave"));
  } else {
    drawSpectrogram(context, picture.waveform, width, top, ratio);
  }
  const x = (time: number) => (time / Math.max(seconds, 1e-9)) * width;
  for (const cell of cells(picture.scored, picture.about, picture.settings)) {
    const [left, right] = [Math.round(x(cell.start_s)), Math.round(x(cell.end_s))]; // no seams
    hatch(context, cell.verdict, left, top + 6, right - left, STRIP, colour);
  }
  drawAxis(context, seconds, width, height, colour("--text"));
  if (picture.playhead !== null) {
    context.fillStyle = colour("--text");
    context.fillRect(x(picture.playhead) - 1, 0, 2, height - AXIS);
  }
}

function drawWaveform(
  context: CanvasRenderingContext2D,
  waveform: Float32Array,
  width: number,
  height: number,
  colour: string,
) {
  context.fillStyle = colour;
  const peak = Math.max(
    0.05,
    waveform.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  );
  const columns = Math.floor(width);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor((column * waveform.length) / columns);
    const end = Math.max(start + 1, Math.floor(((column + 1) * waveform.length) / columns));
    let low = 0;
    let high = 0;
    for (let i = start; i < end && i < waveform.length; i++) {
      const value = waveform[i]!;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const y = (value: number) => (height / 2) * (1 - (0.94 * value) / peak);
    context.fillRect(column, y(high), 1, Math.max(1, y(low) - y(high)));
  }
}

function drawSpectrogram(
  context: CanvasRenderingContext2D,
  waveform: Float32Array,
  width: number,
  height: number,
  ratio: number,
) {
  const columns = Math.max(1, Math.floor(width * ratio));
  const image = context.createImageData(columns, FRAME / 2);
  for (let column = 0; column < columns; column++) {
    const centre = Math.floor(((column + 0.5) * waveform.length) / columns);
    const power = spectrum(waveform, centre - FRAME / 2);
    for (let bin = 0; bin < FRAME / 2; bin++) {
      const level = Math.max(0, Math.min(1, (10 * Math.log10(power[bin]! + 1e-10) + 70) / 90));
      const at = 4 * ((FRAME / 2 - 1 - bin) * columns + column);
      // Rises in lightness alone: it can be read without seeing colours.
      image.data[at] = 255 * level ** 1.5;
      image.data[at + 1] = 235 * level ** 1.2;
      image.data[at + 2] = 60 + 130 * level;
      image.data[at + 3] = 255;
    }
  }
  const buffer = document.createElement("canvas");
  buffer.width = columns;
  buffer.height = FRAME / 2;
  buffer.getContext("2d")?.putImageData(image, 0, 0);
  context.drawImage(buffer, 0, 0, width, height);
}

/** Returns the power of FRAME samples in FRAME / 2 bins; what lies beyond the ends is silent. */
export function spectrum(waveform: Float32Array, start: number): Float32Array {
  const real = new Float32Array(FRAME);
  const imaginary = new Float32Array(FRAME);
  for (let i = 0, j = 0; i < FRAME; i++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FRAME);
    real[j] = (waveform[start + i] ?? 0) * window;
    let bit = FRAME >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
  }
  for (let size = 2; size <= FRAME; size *= 2) {
    for (let first = 0; first < FRAME; first += size) {
      for (let k = 0; k < size / 2; k++) {
        const angle = (-2 * Math.PI * k) / size;
        const [a, b] = [first + k, first + k + size / 2];
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const re = real[b]! * c - imaginary[b]! * s;
        const im = real[b]! * s + imaginary[b]! * c;
        real[b] = real[a]! - re;
        imaginary[b] = imaginary[a]! - im;
        real[a]! += re;
        imaginary[a]! += im;
      }
    }
  }
  return Float32Array.from({ length: FRAME / 2 }, (_, i) => real[i]! ** 2 + imaginary[i]! ** 2);
}

/** Fills a stretch: lines for spoof, plain for bona fide, crosses for what cannot be judged. */
function hatch(
  context: CanvasRenderingContext2D,
  verdict: Verdict,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: (name: string) => string,
) {
  const name = { spoof: "--spoof", bonafide: "--bonafide", "cannot judge": "--unknown" }[verdict];
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = colour(name);
  context.fillRect(x, y, width, height);
  context.strokeStyle = colour("--card");
  context.lineWidth = 2;
  context.beginPath();
  const step = 9;
  for (let at = Math.floor((x - height) / step) * step; at < x + width; at += step) {
    if (verdict !== "bonafide") {
      context.moveTo(at, y + height);
      context.lineTo(at + height, y);
    }
    if (verdict === "cannot judge") {
      context.moveTo(at, y);
      context.lineTo(at + height, y + height);
    }
  }
  context.stroke();
  context.restore();
}

function drawAxis(
  context: CanvasRenderingContext2D,
  seconds: number,
  width: number,
  height: number,
  colour: string,
) {
  const wanted = seconds / Math.max(2, width / 90);
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];
  const step = steps.find((one) => one >= wanted) ?? 600;
  context.fillStyle = colour;
  context.font = "12px system-ui, sans-serif";
  for (let i = 0; i * step <= seconds; i++) {
    const x = ((i * step) / seconds) * width;
    const label = `${String(Number((i * step).toFixed(1)))} s`;
    const room = context.measureText(label).width;
    context.fillRect(Math.min(x, width - 1), height - AXIS, 1, 5);
    context.fillText(label, Math.max(0, Math.min(x - room / 2, width - room)), height - 4);
  }
}
