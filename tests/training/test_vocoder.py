"""Training a small vocoder on a folder: it learns, resumes to the same bits, and loads again."""

import json
import signal
from typing import Any

import jax
import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.config import DataConfig
from rawnet_jax.copy_synthesis.model_files import digests, model_vocoders
from rawnet_jax.copy_synthesis.vocoder import copy_of
from rawnet_jax.errors import CheckpointError, DataError, Interrupted
from rawnet_jax.training.interrupt import StopRequest
from rawnet_jax.training.vocoder import Recipe, VocoderTrainer, recordings_below
from rawnet_jax.vocoders.discriminators import Discriminators
from rawnet_jax.vocoders.families import VocoderSpec
from rawnet_jax.vocoders.mel import MelSetting
from rawnet_jax.vocoders.vocoder import Vocoder

SPEC = VocoderSpec("vocos", MelSetting(20, 128, 512), {"width": 16, "hidden": 32, "num_blocks": 1})
RECIPE = Recipe(
    num_steps=6, spectral_steps=3, batch_size=2, segment=4096, save_every=2, learning_rate=2e-3
)
SMALL = Discriminators((4, 4), (4, 4), periods=(2,), resolutions=((256, 64),))


# Another objective, another input, and another generator with the objective of SPEC.
OTHERS: dict[str, dict[str, Any]] = {
    "flow": {"width": 8, "hidden": 16, "num_blocks": 1, "num_steps": 2},
    "codec": {"channels": 4, "latent": 8, "dilations": (1,), "num_codebooks": 2, "num_entries": 8},
    "mb_melgan": {"channels": 8, "dilations": (1,)},
}


def trainer(workdir, caches, spec: VocoderSpec = SPEC) -> VocoderTrainer:
    return VocoderTrainer(spec, RECIPE, workdir, caches, discriminators=SMALL, progress=False)


def stopped_after_3(workdir, caches, spec: VocoderSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_at_3(self, step: int) -> bool:
        self.signal_number = signal.SIGTERM
        return step == 3

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "wanted", stop_at_3)
        with pytest.raises(Interrupted, match="stopped at step 3 of 6"):
            trainer(workdir, caches, spec).run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(0)
    for number in range(8):
        time = np.arange(6000) / 16_000
        tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 300) * time)
        soundfile.write(path / f"{number}.wav", tone + rng.normal(scale=0.01, size=6000), 16_000)
    return path


@pytest.fixture(scope="module")
def caches(folder, tmp_path_factory: pytest.TempPathFactory):
    data = DataConfig(cache_dir=str(tmp_path_factory.mktemp("cache")), num_workers=1)
    return recordings_below(folder, data, progress=False)


@pytest.fixture(scope="module")
def trained(caches, tmp_path_factory: pytest.TempPathFactory):
    workdir = tmp_path_factory.mktemp("straight")
    trainer(workdir, caches).run()
    return workdir


def test_clips_to_measure_on_are_not_trained_on(caches) -> None:
    train, dev = ({trial.utterance_id for trial in cache.trials} for cache in caches)
    assert len(train) == 4
    assert len(dev) == 4
    assert not train & dev


def test_it_learns_and_logs(trained) -> None:
    events = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == [2, 4, 6]
    assert events[-1]["dev_mel"] < events[0]["dev_mel"]
    assert "discriminators" not in events[0]["train"]  # of spectral steps
    assert "discriminators" in events[-1]["train"]


def test_a_stopped_run_resumes_to_the_same_bits(
    trained, caches, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after_3(tmp_path, caches, SPEC, monkeypatch)
    resumed = trainer(tmp_path, caches).run()
    straight = Vocoder.load(trained)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, straight.params)
    assert resumed.facts == straight.facts


@pytest.mark.parametrize("family", OTHERS)
def test_other_families_learn_resume_and_copy(
    family: str, caches, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = VocoderSpec(family, SPEC.mel, OTHERS[family])
    for name in ("straight", family):
        (tmp_path / name).mkdir()
    straight = trainer(tmp_path / "straight", caches, spec).run()
    stopped_after_3(tmp_path / family, caches, spec, monkeypatch)
    resumed = trainer(tmp_path / family, caches, spec).run()
    jax.tree.map(np.testing.assert_array_equal, resumed.params, straight.params)
    assert resumed.facts == straight.facts
    log = (tmp_path / "straight" / "log.jsonl").read_text().splitlines()
    terms = [set(json.loads(line)["train"]) for line in log]
    assert (
        terms[-1]
        == {
            "flow": {"loss"},
            "codec": {"mel", "quantiser", "generator", "discriminators"},
            "mb_melgan": {"mel", "generator", "discriminators"},
        }[family]
    )
    (row,) = model_vocoders([tmp_path / family])
    waveform = (0.05 * np.sin(np.arange(20_000) / 20)).astype(np.float32)
    settings = row.draw(np.random.default_rng(0)) | {"rate": 1.25, "band_share": 1.0}
    first, second = (copy_of(waveform, row, settings, np.random.default_rng(0)) for _ in range(2))
    assert first.shape == waveform.shape
    np.testing.assert_array_equal(first, second)


def test_a_copy_has_the_length_of_its_source(trained) -> None:
    vocoder = Vocoder.load(trained)
    waveform = np.sin(np.arange(5001) / 20).astype(np.float32) * 0.3
    copy = vocoder.copy(waveform)
    assert copy.shape == (5001,)
    assert copy.dtype == np.float32
    assert np.isfinite(copy).all()
    assert np.abs(copy).max() <= 1
    np.testing.assert_array_equal(copy, vocoder.copy(waveform))


@pytest.mark.parametrize("name", ["vocoder.json", "weights.safetensors"])
def test_damaged_vocoders_are_refused(trained, tmp_path, name: str) -> None:
    for file in ("vocoder.json", "weights.safetensors"):
        (tmp_path / file).write_bytes((trained / file).read_bytes())
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[-5] ^= 1
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"damaged"):
        Vocoder.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match="must be a vocoder"):
        Vocoder.load(tmp_path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--family", "wavenet"], "must be one of hifigan_v2"),
        (["--family", "vocos", "--hop", "300"], "--segment is 8192; it must be a multiple of"),
        (["--family", "vocos", "--steps", "0"], "--steps 0: it must be 1 or more"),
        (["--family", "vocos", "--high-hz", "9000"], "rise within 0 to 8000 Hz"),
        (["--family", "vocos", "--learning-rate", "nan"], "--learning-rate is nan"),
        (["--family", "vocos", "--bands", "0"], "num_bands is 0"),
    ],
)
def test_wrong_flags_end_in_one_line(folder, tmp_path, capsys, flags, said) -> None:
    output = tmp_path / "new"
    command = ["train-vocoder", "--input", str(folder), "--output", str(output), *flags]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not output.exists()


def test_the_command_trains_and_refuses_other_settings(
    folder, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAWNET_JAX_CACHE", str(tmp_path / "cache"))
    # Compiling the first values of the full ones takes longer than the rest of this file.
    monkeypatch.setattr("rawnet_jax.training.vocoder.Discriminators", lambda: SMALL)
    output = tmp_path / "vocoder"
    command = ["train-vocoder", "--input", str(folder), "--output", str(output), "--no-progress"]
    command += ["--family", "vocos", "--segment", "4096", "--batch-size", "1"]
    command += ["--steps", "1", "--spectral-steps", "1", "--bands", "20", "--size", "512"]
    assert main(command) == 0
    assert "vocos, 2," in capsys.readouterr().out
    assert main([*command, "--seed", "1"]) == 2
    assert "has other settings" in capsys.readouterr().err


def test_another_vocoder_is_a_start_where_its_layers_fit(trained, caches, tmp_path) -> None:
    old = Vocoder.load(trained)
    spec = VocoderSpec("vocos", MelSetting(30, 128, 512), dict(SPEC.fields))
    new = VocoderTrainer(
        spec, RECIPE, tmp_path, caches, discriminators=SMALL, start=old.params, progress=False
    )
    params = new._start()[0].generator
    assert params["embed"]["kernel"].shape != old.params["embed"]["kernel"].shape
    for name in ("block_0", "head", "last_norm"):
        jax.tree.map(np.testing.assert_array_equal, params[name], old.params[name])


def test_a_trained_vocoder_is_a_model_of_vocode(trained, tmp_path) -> None:
    (row,) = model_vocoders([trained])
    assert row.family == "neural vocos"
    assert set(digests(row)) == {"vocoder.json", "weights.safetensors"}
    waveform = (0.05 * np.sin(np.arange(20_000) / 20)).astype(np.float32)
    rng = np.random.default_rng(0)
    plain = {"rate": 1.0, "equal_bands": 0, "equal_share": 1.0, "band_share": 1.0, "band_place": 0}
    assert set(plain) == set(row.draw(rng))
    copy = copy_of(waveform, row, plain, rng)
    # `vocode` gives every vocoder its input at one level, and the copy the level of its source.
    gain = 0.05 / np.sqrt(np.mean(waveform**2, dtype=np.float64))
    wanted = Vocoder.load(trained).copy((gain * waveform.astype(np.float64)).astype(np.float32))
    assert np.corrcoef(copy, wanted)[0, 1] == pytest.approx(1, abs=1e-6)
    (tmp_path / "vocoder.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        model_vocoders([tmp_path])
