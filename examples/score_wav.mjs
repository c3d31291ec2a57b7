// Score WAV files with an exported ONNX file, in Node:
//
//   npm install --ignore-scripts onnxruntime-node
//   node score_wav.mjs model.onnx clip.wav ...
//
// Prints a line a file: score (higher = more bona fide), log-likelihood ratio where the file has
// one, and what the threshold in it says. The exit status is 2 where a file could not be scored.

import { readFileSync } from "node:fs";

process.env.ORT_DISABLE_TELEMETRY = "1"; // read when it is loaded
const { InferenceSession, Tensor } = await import("onnxruntime-node");

// ONNX Runtime for JavaScript does not show a file's metadata: these are field 14 of the file's
// protocol buffer, each a key (1) and a value (2).
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
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

function metadataOf(bytes) {
  const about = {};
  for (const [field, entry] of fields(bytes)) {
    if (field !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(fields(entry));
    about[key.toString()] = value.toString();
  }
  for (const name of ["sample_rate_hz", "num_samples", "longer", "threshold", "speech"]) {
    about[name] = JSON.parse(about[name] ?? "null");
  }
  return about;
}

// Returns a Float32Array, full scale = 1, the average of all channels.
function readWav(path, sampleRateHz) {
  const bytes = readFileSync(path);
  if (bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
    throw new Error("no WAV file");
  }
  let format, data;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    const chunk = bytes.subarray(at + 8, at + 8 + size);
    const name = bytes.toString("latin1", at, at + 4);
    if (name === "fmt ") format = chunk;
    if (name === "data") data = chunk;
    at += 8 + size + (size % 2);
  }
  if (!format || !data) throw new Error("a WAV file without format or samples");
  const channels = format.readUInt16LE(2);
  const rate = format.readUInt32LE(4);
  const width = format.readUInt16LE(14) / 8;
  const coding = format.readUInt16LE(0) === 0xfffe ? format.readUInt16LE(24) : format.readUInt16LE(0);
  if (rate !== sampleRateHz) {
    throw new Error(`${rate} Hz; the network takes ${sampleRateHz} Hz: resample it first`);
  }
  const isFloat = coding === 3 && width === 4;
  if (!isFloat && !(coding === 1 && [1, 2, 3, 4].includes(width))) {
    throw new Error(`samples of format ${coding} and ${8 * width} bits are not known here`);
  }
  const sample = (at) => {
    if (isFloat) return data.readFloatLE(at);
    if (width === 1) return data[at] / 128 - 1;
    return data.readIntLE(at, width) / 2 ** (8 * width - 1);
  };
  const waveform = new Float32Array(Math.floor(data.length / (width * channels)));
  if (!waveform.length) throw new Error("there is no sample in it");
  for (let i = 0; i < waveform.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += sample((i * channels + c) * width);
    waveform[i] = sum / channels;
  }
  return waveform;
}

// Returns what the network takes: the beginning of a clip, or windows over it.
function rowsOf(waveform, about) {
  const length = about.num_samples;
  const starts = [];
  const last = Math.max(waveform.length - length, 0);
  if (about.longer.aggregate !== "first") {
    for (let start = 0; start < last; start += about.longer.hop_samples) starts.push(start);
  }
  starts.push(about.longer.aggregate === "first" ? 0 : last);
  const rows = new Float32Array(starts.length * length);
  const own = Math.min(waveform.length, length);
  const filled = about.pad === "zero" ? own : length;
  starts.forEach((start, row) => {
    for (let i = 0; i < filled; i++) rows[row * length + i] = waveform[start + (i % own)];
  });
  return {
    waveform: new Tensor("float32", rows, [starts.length, length]),
    num_samples: new Tensor("int32", new Int32Array(starts.length).fill(own), [starts.length]),
  };
}

// Returns one value for a recording from those of its windows.
function aggregate(values, how) {
  const sorted = Array.from(values).sort((a, b) => a - b);
  if (how === "max_spoof") return sorted[0];
  const cut = how === "trimmed" ? Math.floor(0.2 * sorted.length) : 0;
  const kept = sorted.slice(cut, sorted.length - cut);
  return kept.reduce((sum, value) => sum + value, 0) / kept.length;
}

// Returns what the rows that hold speech got, where the file says how much each has.
function judged(outputs, seconds, speech) {
  const values = Object.fromEntries(Object.entries(outputs).map(([k, v]) => [k, v.data]));
  if (!speech?.output) return values;
  const needed = Math.min(speech.needed_s, speech.needed_share * seconds);
  const { [speech.output]: found, ...others } = values;
  const most = Math.max(...found);
  if (most < needed) {
    const said = `${most.toFixed(2)} s; it must be ${Number(needed.toPrecision(2))} s`;
    throw new Error(`cannot judge: no speech: ${said}`);
  }
  const kept = ([name, row]) => [name, row.filter((_, i) => found[i] >= needed)];
  return Object.fromEntries(Object.entries(others).map(kept));
}

const [model, ...paths] = process.argv.slice(2);
if (!paths.length) {
  console.error("usage: node score_wav.mjs MODEL.onnx CLIP.wav ...");
  process.exit(2);
}
const bytes = readFileSync(model);
const about = metadataOf(bytes);
// From memory, so that it cannot refer to other files.
const session = await InferenceSession.create(bytes);
for (const path of paths) {
  try {
    const inputs = rowsOf(readWav(path, about.sample_rate_hz), about);
    const taken = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]]));
    const outputs = await session.run(taken);
    const how = about.longer.aggregate;
    const found = {};
    const seconds = inputs.num_samples.data[0] / about.sample_rate_hz;
    for (const [name, values] of Object.entries(judged(outputs, seconds, about.speech)))
      found[name] = aggregate(values, how);
    const { threshold } = about;
    const isBonafide = threshold && found[threshold.of] >= threshold.value;
    const verdict = threshold ? (isBonafide ? "bonafide" : "spoof") : "no threshold";
    const names = Object.keys(found).sort().reverse();
    const values = names.map((name) => `${name} ${found[name].toFixed(6)}`).join("  ");
    console.log(`${path}: ${values}  ${verdict}`);
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    process.exitCode = 2;
  }
}
