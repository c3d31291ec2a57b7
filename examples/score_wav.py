"""Score WAV files with an exported ONNX file: the standard library, NumPy and ONNX Runtime alone.

    python score_wav.py model.onnx clip.wav ...

Prints a line a file: score (higher = more bona fide), log-likelihood ratio where the file has one,
and what the threshold in it says. The exit status is 2 where a file could not be scored.
"""

import json
import os
import sys
import wave

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
import onnxruntime

JSON_FIELDS = ("sample_rate_hz", "num_samples", "longer", "threshold", "speech")


def load(path):
    """Return a session, and what the file says of itself."""
    with open(path, "rb") as file:  # from memory, so that it cannot refer to other files
        session = onnxruntime.InferenceSession(file.read(), providers=["CPUExecutionProvider"])
    about = dict(session.get_modelmeta().custom_metadata_map)
    return session, about | {name: json.loads(about.get(name, "null")) for name in JSON_FIELDS}


def read_wav(path, sample_rate_hz):
    """Return float32 [n], full scale = 1, the average of all channels."""
    with wave.open(path) as file:
        rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
        if rate != sample_rate_hz:
            raise ValueError(f"{rate} Hz; the network takes {sample_rate_hz} Hz: resample it first")
        data = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    if not len(data):
        raise ValueError("there is no sample in it")
    if width == 1:
        samples = data.astype(np.float32) / 128 - 1
    else:  # the upper bytes of 32-bit numbers
        padded = np.zeros((len(data) // width, 4), np.uint8)
        padded[:, 4 - width :] = data.reshape(-1, width)
        samples = padded.view("<i4")[:, 0] / 2**31
    return samples.reshape(-1, channels).mean(axis=1).astype(np.float32)


def rows_of(waveform, about):
    """Return what the network takes, [B, T] and [B]: a clip's beginning, or windows over it."""
    length, starts = about["num_samples"], [0]
    if about["longer"]["aggregate"] != "first":
        last = max(len(waveform) - length, 0)
        starts = sorted({*range(0, last, about["longer"]["hop_samples"]), last})
    rows = np.stack([np.resize(waveform[start : start + length], length) for start in starts])
    own = min(len(waveform), length)
    if about["pad"] == "zero":
        rows[:, own:] = 0
    return rows, np.full(len(rows), own, np.int32)


def aggregate(values, how):
    """Return one value for a recording from those of its windows."""
    cut = int(0.2 * len(values)) if how == "trimmed" else 0
    kept = np.sort(values.astype(np.float64))[cut : len(values) - cut]
    return kept.min() if how == "max_spoof" else kept.mean()


def judged(outputs, seconds, about):
    """Return what the rows that hold speech got, where the file says how much each has."""
    speech = about["speech"]
    if speech is None or speech["output"] is None:
        return outputs
    needed = min(speech["needed_s"], speech["needed_share"] * seconds)
    found = outputs.pop(speech["output"])
    if found.max() < needed:
        raise ValueError(f"cannot judge: no speech: {found.max():.2f} s; it must be {needed:.2g} s")
    return {name: values[found >= needed] for name, values in outputs.items()}


def score_wav(session, about, path):
    """Return the outputs for a file by name, and a verdict."""
    waveform, num_samples = rows_of(read_wav(path, about["sample_rate_hz"]), about)
    inputs = {"waveform": waveform, "num_samples": num_samples}
    taken = {node.name: inputs[node.name] for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    how = about["longer"]["aggregate"]
    outputs = dict(zip(names, session.run(names, taken), strict=True))
    kept = judged(outputs, num_samples[0] / about["sample_rate_hz"], about)
    found = {name: aggregate(values, how) for name, values in kept.items()}
    threshold = about["threshold"]
    if threshold is None:
        return found, "no threshold"
    return found, "bonafide" if found[threshold["of"]] >= threshold["value"] else "spoof"


def main(model, *paths):
    """Print a line a file; return the exit status."""
    session, about = load(model)
    status = 0
    for path in paths:
        try:
            found, verdict = score_wav(session, about, path)
        except (OSError, EOFError, ValueError, wave.Error) as error:
            print(f"{path}: {error}", file=sys.stderr)
            status = 2
        else:
            values = "  ".join(f"{name} {found[name]:.6f}" for name in sorted(found, reverse=True))
            print(f"{path}: {values}  {verdict}")
    return status


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: score_wav.py MODEL.onnx CLIP.wav ...")
    sys.exit(main(*sys.argv[1:]))
