"""Replay corpora from folders of recordings."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data.protocols import parse_asvspoof2017
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.simulate.corpus_writer import LEVEL_DBFS
from rawnet_jax.simulate.replay_corpus import measured_environments, write_replay_corpus

ENDINGS = {"train": "trn", "dev": "trl", "eval": "trl"}


def write_source(root: Path, speakers: str = "abcde", rate_hz: int = 22_050) -> Path:
    rng = np.random.default_rng(0)
    for speaker in speakers:
        (root / speaker).mkdir(parents=True, exist_ok=True)
        for take in range(2):
            noise = 0.1 * rng.standard_normal(rate_hz // 4)
            soundfile.write(root / speaker / f"{speaker}_{take}.flac", noise, rate_hz)
    return root


def write(source: Path, output: Path, **settings):
    return write_replay_corpus(source, output, num_workers=1, progress=False, **settings)


def trials(corpus: Path) -> dict[str, list[Trial]]:
    found = {}
    for partition, ending in ENDINGS.items():
        path = corpus / "protocol_V2" / f"ASVspoof2017_V2_{partition}.{ending}.txt"
        if path.exists():
            ledger = ProblemLedger(ProblemPolicy())
            found[partition] = parse_asvspoof2017(path.read_text().splitlines(), str(path), ledger)
    return found


def test_sub_folders_are_speakers(tmp_path):
    source = write_source(tmp_path / "in")
    summary = write(source, tmp_path / "out", copies_per_clip=2)
    assert summary.counts == {
        ("train", "genuine"): 6,
        ("train", "spoof"): 12,
        ("dev", "genuine"): 2,
        ("dev", "spoof"): 4,
        ("eval", "genuine"): 2,
        ("eval", "spoof"): 4,
    }
    found = trials(tmp_path / "out")
    speakers = [{str(trial.speaker_id) for trial in part} for part in found.values()]
    assert sorted(name for names in speakers for name in names) == list("abcde")
    for partition, part in found.items():
        folder = tmp_path / "out" / f"ASVspoof2017_V2_{partition}"
        assert {path.name for path in folder.iterdir()} == {t.audio_name for t in part}
        for trial in part:
            assert ("environment" in trial.metadata) == (trial.label == 0)
            assert soundfile.info(folder / trial.audio_name).frames == pytest.approx(4_000, abs=2)


def test_every_clip_names_the_recording_that_it_is_from(tmp_path):
    source = write_source(tmp_path / "in")
    write(source, tmp_path / "out")
    rows = (tmp_path / "out" / "sources.tsv").read_text().splitlines()
    assert rows[0] == "file\tsource"
    source_of = dict(row.split("\t") for row in rows[1:])
    for part in trials(tmp_path / "out").values():
        for trial in part:
            assert source_of[trial.audio_name].startswith(f"{trial.speaker_id}/")
    assert len(source_of) == 20


def test_both_classes_obey_one_level_law(tmp_path):
    source = write_source(tmp_path / "in", "abcdefgh")
    write(source, tmp_path / "out", copies_per_clip=2)
    levels: dict[int, list[float]] = {0: [], 1: []}
    for partition, part in trials(tmp_path / "out").items():
        for trial in part:
            path = tmp_path / "out" / f"ASVspoof2017_V2_{partition}" / trial.audio_name
            samples, _ = soundfile.read(path)
            levels[int(trial.label or 0)].append(20 * np.log10(np.sqrt(np.mean(samples**2))))
            assert abs(np.mean(samples)) < 1e-5
    low, high = LEVEL_DBFS
    for values in levels.values():
        assert low - 0.1 < min(values) <= max(values) < high + 0.1
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=2.0)


def test_a_pattern_finds_speaker_and_phrase(tmp_path):
    (tmp_path / "in").mkdir()
    for speaker in ("ann b", "bob", "cy"):
        soundfile.write(tmp_path / "in" / f"7_{speaker}_0.wav", np.full(2_000, 0.1), 16_000)
    write(
        tmp_path / "in",
        tmp_path / "out",
        speaker_pattern=r"(?P<phrase>\d)_(?P<speaker>[\w ]+)_\d\.wav",
    )
    found = [trial for part in trials(tmp_path / "out").values() for trial in part]
    assert {trial.speaker_id for trial in found} == {"ann_b", "bob", "cy"}
    assert {trial.metadata["phrase"] for trial in found} == {"7"}


def test_only_the_partitions_with_a_share_are_written(tmp_path):
    source = write_source(tmp_path / "in", "a")
    summary = write(source, tmp_path / "out", partition_shares=(0.0, 0.0, 1.0))
    assert summary.counts == {("eval", "genuine"): 2, ("eval", "spoof"): 2}
    assert list(trials(tmp_path / "out")) == ["eval"]


def test_the_seed_decides_partitions_and_samples(tmp_path):
    source = write_source(tmp_path / "in")

    def content(name: str, seed: int) -> dict[str, bytes]:
        write(source, tmp_path / name, seed=seed)
        paths = sorted((tmp_path / name).rglob("*"))
        return {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in paths if p.is_file()}

    first = content("a", 1)
    assert first == content("b", 1)
    assert first != content("c", 2)


def test_a_narrow_band_source_gets_no_replay_noise_above_its_band(tmp_path):
    source = write_source(tmp_path / "in", rate_hz=8_000)
    write(source, tmp_path / "out")
    above: dict[int, list[float]] = {0: [], 1: []}
    for partition, part in trials(tmp_path / "out").items():
        for trial in part:
            path = tmp_path / "out" / f"ASVspoof2017_V2_{partition}" / trial.audio_name
            samples, _ = soundfile.read(path)
            power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
            frequencies = np.fft.rfftfreq(len(samples), 1 / 16_000)
            level = np.mean(power[frequencies > 4_000]) / len(samples)
            above[int(trial.label or 0)].append(level * 32_768**2)
    # Both hold nothing but dither of one and rounding of half a step there: 1/6 + 1/12 times 3/8.
    for values in above.values():
        np.testing.assert_allclose(values, (1 / 6 + 1 / 12) * 3 / 8, rtol=0.25)


def test_a_bad_recording_stops_or_is_left_out(tmp_path):
    source = write_source(tmp_path / "in")
    (source / "a" / "broken.wav").write_bytes(b"not audio at all")
    with pytest.raises(AudioError, match=r"broken\.wav: not audio"):
        write(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    summary = write(source, tmp_path / "out", skip_bad_audio=True)
    assert len(summary.problems) == 1
    assert "broken.wav" in summary.problems[0]
    assert sum(summary.counts.values()) == 20
    assert sum(len(part) for part in trials(tmp_path / "out").values()) == 20


def test_measured_rooms_take_the_place_of_simulated_ones(tmp_path):
    source = write_source(tmp_path / "in")
    (tmp_path / "rooms").mkdir()
    response = np.random.default_rng(1).standard_normal(800) * np.exp(-np.arange(800) / 100)
    for name in ("hall", "office", "stairs"):
        soundfile.write(tmp_path / "rooms" / f"{name}.wav", 0.1 * response, 16_000)
    write(source, tmp_path / "out", impulse_response_dir=tmp_path / "rooms", copies_per_clip=4)
    environments = {
        trial.metadata["environment"]
        for part in trials(tmp_path / "out").values()
        for trial in part
        if trial.label == 0
    }
    assert environments == {"E101", "E102", "E103"}
    assert "E101\tmeasured: hall.wav\t" in (tmp_path / "out" / "devices.tsv").read_text()
    assert [e.held_out for e in measured_environments(tmp_path / "rooms")] == [False, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speaker_pattern": "("}, "is not a regular expression"),
        ({"speaker_pattern": "a"}, "has no group"),
        ({"speaker_pattern": "(?P<speaker>xyz)"}, "finds no speaker"),
        ({"copies_per_clip": 0}, "copies_per_clip is 0"),
        ({"partition_shares": (0.5, 0.2, 0.2)}, "three numbers >= 0 with sum 1"),
        ({"partition_shares": (1.5, -0.5, 0.0)}, "three numbers >= 0"),
        ({"seed": -1}, "seed is -1"),
        ({"impulse_response_dir": "nowhere"}, "is not a folder"),
    ],
)
def test_parameters_that_cannot_be(tmp_path, settings, message):
    source = write_source(tmp_path / "in")
    with pytest.raises(DataError, match=re.compile(message)):
        write(source, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_sources_that_cannot_be(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        write(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no audio file"):
        write(tmp_path / "empty", tmp_path / "out")
    source = write_source(tmp_path / "two", "ab")
    with pytest.raises(DataError, match=r"2 speaker\(s\) found \(a, b\); there must be 3 or more"):
        write(source, tmp_path / "out")
    with pytest.raises(DataError, match="lies in the source folder"):
        write(source, source / "out")
    soundfile.write(source / "stray.wav", np.full(2_000, 0.1), 16_000)
    with pytest.raises(DataError, match=r"stray\.wav: no speaker is known"):
        write(source, tmp_path / "out")


def test_real_recordings_at_8_khz(tmp_path, shared_data):
    (tmp_path / "in").mkdir()
    for path in sorted((shared_data / "digits").glob("[37]_*_0.wav")):
        (tmp_path / "in" / path.name).symlink_to(path)
    pattern = r"(?P<phrase>\d)_(?P<speaker>\w+)_\d+\.wav"
    summary = write(tmp_path / "in", tmp_path / "out", speaker_pattern=pattern)
    assert sum(summary.counts.values()) == 24
    found = trials(tmp_path / "out")
    speakers = [{trial.speaker_id for trial in part} for part in found.values()]
    assert len(set.union(*speakers)) == sum(len(names) for names in speakers) == 6
    line = (tmp_path / "out" / "protocol_V2/ASVspoof2017_V2_dev.trl.txt").read_text().splitlines()
    assert re.fullmatch(r"D_1000001\.wav genuine [a-z]+ [37] - - -", line[0])
    assert re.fullmatch(r"D_1000004\.wav spoof [a-z]+ [37] E0\d P0\d R0\d", line[-1])
