"""The page's numbers are Python's: gate reasons equal, ratios within what resampling costs.

Needs Node and `web/node_modules`; `make web` makes both sides.
"""

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rawnet_jax
from tests.spoken import noise, spoken
from tests.web.knowing import VOICE, write_knowing

WEB = Path(__file__).parents[2] / "web"
RATE = 16_000
RESAMPLED, EXACT = 0.05, 1e-4
"""Largest differences of a log-likelihood ratio, for other rates than 16 kHz and for it."""

MODELS = {"model": [], "first": ["--config.eval.aggregate="]}
"""Overrides of the packaged detector: as it is, and with the first window of speech alone."""

KNOWING = "knowing"
"""The same detector, which knows sources and a person."""

ALL_SPOOF = 1e9
"""A threshold at which a source is named of all that is judged."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npx") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(not (WEB / "node_modules").is_dir(), reason="make web was not run"),
]


def recordings() -> dict[str, tuple[np.ndarray, int]]:
    """Samples and rate of each file; names that begin with a rate are resampled."""
    speech = spoken(8.0)
    rng = np.random.default_rng(0)
    quiet = np.zeros(RATE)
    faint = 1e-6 * rng.standard_normal(2 * RATE)
    hum = 0.001 * rng.standard_normal(8 * RATE)
    pause = np.concatenate((np.zeros(5 * RATE), speech[: 3 * RATE]))
    late = np.concatenate((hum[: 6 * RATE], speech))
    at_the_end = np.concatenate((hum[: 7 * RATE], speech[:RATE]))
    found = {
        "speech": (speech, RATE),
        "one_window": (speech[:51_200], RATE),
        "short": (speech[: 2 * RATE], RATE),
        "word": (speech[1600 : 1600 + 11_000], RATE),
        "with_a_pause": (pause, RATE),
        "late": (late, RATE),
        "at_the_end": (at_the_end, RATE),
        "stereo": (np.stack([speech, 0.5 * np.roll(speech, 3)], axis=1), RATE),
        "silence": (quiet, RATE),
        "too_short": (speech[:1000], RATE),
        "noisy_speech": (speech + noise(8.0, 0.1)[: len(speech)], RATE),
        "noise": (0.1 * rng.standard_normal(4 * RATE), RATE),
        "offset": (np.full(RATE, 0.2), RATE),
        "faint": (faint, RATE),
        "square": (0.5 * np.sign(np.sin(np.arange(2 * RATE) / 20)), RATE),
        "one_channel_empty": (np.stack([speech, 0 * speech], axis=1), RATE),
        "cancelling": (np.stack([speech, -speech], axis=1), RATE),
    }
    for rate in (8_000, 22_050, 44_100, 48_000):
        found[f"at_{rate}"] = (wide(rate), rate)
    return found


def wide(rate: int) -> np.ndarray:
    """Return speech at another rate, with noise over all of that rate's band."""
    import soxr

    speech = soxr.resample(spoken(6.0), RATE, rate)
    return speech + 0.003 * np.random.default_rng(rate).standard_normal(len(speech))


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model as a file, recordings, and what Python says of them."""
    folder = tmp_path_factory.mktemp("parity")
    expected = []
    for name, (samples, rate) in recordings().items():
        subtype = "FLOAT" if name == "faint" else "PCM_16"
        soundfile.write(folder / f"{name}.wav", samples, rate, subtype=subtype)
    write_knowing(folder / KNOWING)
    detectors = {
        name: rawnet_jax.load("general_1", overrides=changes) for name, changes in MODELS.items()
    }
    detectors[KNOWING] = rawnet_jax.load(folder / KNOWING, speaker=VOICE.name, threshold=ALL_SPOOF)
    for model, detector in detectors.items():
        detector.export(folder / f"{model}.onnx")
        for name, (_, rate) in recordings().items():
            said = detector.score(str(folder / f"{name}.wav"))
            expected.append(
                {
                    "model": f"{model}.onnx",
                    "name": f"{name}.wav",
                    "reason": None if said.reason is None else said.reason.split(":")[0],
                    "llr": said.llr,
                    "from_s": said.scored_from_s,
                    "source": said.source,
                    "notes": list(said.notes),
                    "voice": asdict(VOICE) if model == KNOWING else None,
                    "tolerance": EXACT if rate == RATE else RESAMPLED,
                }
            )
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return folder


def test_the_page_says_what_python_says(fixtures: Path) -> None:
    expected = json.loads((fixtures / "expected.json").read_text(encoding="utf-8"))
    reasons = {row["reason"] for row in expected}
    assert max(row["from_s"] for row in expected if row["model"] == "first.onnx") > 5
    assert {None, "no speech", "digital silence", "DC offset", "wrong channel"} <= reasons
    assert {None, "clean", "noisy", "none of these"} == {row["source"] for row in expected}
    assert any("+0.625 for ana" in note for row in expected for note in row["notes"])
    done = subprocess.run(
        ["npx", "--no-install", "vitest", "run", "test/parity.test.ts"],
        cwd=WEB,
        env=os.environ | {"RAWNET_JAX_FIXTURES": str(fixtures), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{len(expected)} passed" in done.stdout or f"{len(expected)} passed" in done.stderr
