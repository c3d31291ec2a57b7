"""Enrolment and verification: who is let in, and what ends an enrolment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF
from rawnet_jax.speaker.encoder import Voice
from rawnet_jax.speaker.network import mean_voice, unit
from rawnet_jax.speaker.pairs import eer_interval, eer_of_pairs, pairs_of
from rawnet_jax.speaker.sealing import Sealer
from rawnet_jax.speaker.spoof_check import SpoofCheck
from rawnet_jax.speaker.template import VoiceTemplate, read_template, write_template
from rawnet_jax.speaker.verification import Decision, Policy, decision_at, enrol, verify
from tests.speaker.toy_voices import tone, tone_encoder

GOOD = SpoofCheck("bonafide", 3.0)
FAKE = SpoofCheck("spoof", -3.0)
UNJUDGED = SpoofCheck("cannot judge", None, "no speech")
ENCODER = tone_encoder()


def voice(hz, seconds=12.0, seed=0):
    return ENCODER.voice(tone(hz, seconds, seed=seed))


def clips(hz=600, count=3, seconds=12.0, check=GOOD):
    return [(f"{i}.wav", voice(hz, seconds, i), check) for i in range(count)]


@pytest.fixture(scope="module")
def template():
    return enrol(clips(), ENCODER).template


def test_a_template_is_the_mean_of_unit_vectors(template):
    vectors = np.stack([v.vector for _, v, _ in clips()])
    np.testing.assert_allclose(template.vector, mean_voice(vectors))
    assert (template.num_clips, template.encoder) == (3, ENCODER.digest)
    assert template.speech_s == pytest.approx(36)


@pytest.mark.parametrize(
    ("given_clips", "reason"),
    [
        (clips(count=2, seconds=20.0), "2 clips; there must be 3"),
        (clips(seconds=9.0), "27.0 s of speech; there must be 30 s"),
        ([*clips(), ("x", voice(600), FAKE)], "1 of 4 clips refused, first x: not bona fide"),
        ([*clips(), ("x", voice(600), UNJUDGED)], "cannot judge: no speech"),
        ([*clips(), ("x", voice(3_000), GOOD)], "another voice than the rest"),
        ([*clips(), ("x", Voice(np.zeros(12, np.float32), 0.0), GOOD)], "no speech"),
        ([], "0 clips"),
    ],
)
def test_what_ends_an_enrolment(given_clips, reason):
    found = enrol(given_clips, ENCODER)
    assert found.template is None
    assert reason in (found.reason or "")


@pytest.mark.parametrize(
    ("hz", "seconds", "check", "decision"),
    [
        (600, 4, GOOD, Decision.ACCEPT),
        (600, 4, FAKE, Decision.REJECT),
        (3_000, 4, GOOD, Decision.REJECT),
        (600, 2.9, GOOD, Decision.NOT_ENOUGH_SPEECH),
        (600, 4, UNJUDGED, Decision.INCONCLUSIVE),
        (600, 4, SpoofCheck("bonafide", 0.4), Decision.INCONCLUSIVE),
        # However sure the detector, and however near the voice, the other part is not made up for.
        (600, 4, SpoofCheck("spoof", -50.0), Decision.REJECT),
        (3_000, 4, SpoofCheck("bonafide", 50.0), Decision.REJECT),
    ],
)
def test_decisions(template, hz, seconds, check, decision):
    assert verify(voice(hz, seconds), check, template, ENCODER).decision == decision


def test_nobody_is_accepted_without_template_or_with_anothers(template):
    assert verify(voice(600), GOOD, None, ENCODER).decision == Decision.NOT_ENROLLED
    other = VoiceTemplate(template.vector, "f" * 64, 3, 36.0, template.created)
    with pytest.raises(DataError, match="enrolled again"):
        verify(voice(600), GOOD, other, ENCODER)
    with pytest.raises(ConfigError, match="--calibrate"):
        verify(voice(600), GOOD, template, tone_encoder(calibration=None))


@given(st.floats(-20, 20), st.floats(-5, 5), st.floats(0, 5))
def test_the_band_only_takes_answers_away(llr, threshold, band):
    found, plain = decision_at(llr, threshold, band), decision_at(llr, threshold, 0.0)
    assert found in (plain, Decision.INCONCLUSIVE)
    assert (plain == Decision.ACCEPT) == (llr >= threshold)
    if found == Decision.INCONCLUSIVE:
        assert abs(llr - threshold) <= band + 1e-9


def test_ratios_are_rounded_before_they_meet_the_threshold(template):
    """The last digits of a score depend on its batch; a decision must not."""
    policy = Policy(band=0.0, costs=ASVSPOOF5_ADCF)
    share = policy.rule.spoof_share
    llr_cm = policy.rule.threshold + math.log(share)  # at the threshold, the voice being sure
    for step in (-1e-6, 0.0, 1e-6):
        found = [
            verify(voice(600, 4), SpoofCheck("bonafide", round(llr_cm, 4) + s), template, ENCODER)
            for s in (step, 0.0)
        ]
        assert found[0].llr_sasv == found[1].llr_sasv


@pytest.mark.parametrize("more", [{"band": -1.0}, {"min_speech_s": math.nan}, {"enrol_clips": 0}])
def test_policies_out_of_range(more):
    with pytest.raises(ConfigError, match="it must be"):
        Policy(**more)


def test_template_files(template, tmp_path):
    pytest.importorskip("cryptography")
    plain, sealed, sealer = tmp_path / "a", tmp_path / "b", Sealer(b"k" * 32)
    write_template(plain, template)
    write_template(sealed, template, sealer)
    for path, opener in ((plain, None), (plain, sealer), (sealed, sealer)):
        found = read_template(path, opener)
        np.testing.assert_array_equal(found.vector, template.vector)
        assert found.encoder == template.encoder
    assert plain.stat().st_mode & 0o777 == 0o600
    assert b"vector" not in sealed.read_bytes()
    with pytest.raises(DataError, match="--key must name"):
        read_template(sealed)
    with pytest.raises(DataError, match="another key"):
        read_template(sealed, Sealer(b"x" * 32))
    plain.write_text('{"content": "voice template", "schema_version": 1, "vector": [1, 1]}')
    with pytest.raises(DataError, match="a file that enrol wrote"):
        read_template(plain)


@pytest.mark.parametrize("vector", [[1.0, 1.0], [math.nan, 0.0], [1.0], [[1.0, 0.0]]])
def test_templates_that_are_none(vector):
    with pytest.raises(DataError, match="of length 1"):
        VoiceTemplate(np.array(vector), "e", 3, 30.0, "")


# --- pairs


def speakers(num, clips_each, spread=0.6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((num, 8))
    names = [f"s{i}" for i in range(num) for _ in range(clips_each)]
    noise = spread * rng.standard_normal((num * clips_each, 8))
    return unit(np.repeat(centres, clips_each, axis=0) + noise), names


def test_pairs_of_clips_are_all_pairs():
    vectors, names = speakers(3, 4)
    pairs = pairs_of(vectors, names)
    assert (pairs.target.size, pairs.nontarget.size) == (18, 48)
    slow = sorted(
        float(vectors[a].astype(float) @ vectors[b].astype(float))
        for a in range(12)
        for b in range(a)
        if names[a] == names[b]
    )
    np.testing.assert_allclose(np.sort(pairs.target), slow)


def test_enrolled_pairs_never_test_what_was_enrolled():
    vectors, names = speakers(3, 4)
    pairs = pairs_of(vectors, names, 3)
    assert (pairs.target.size, pairs.nontarget.size) == (3, 6)
    expected = [
        float(mean_voice(vectors[4 * i : 4 * i + 3]) @ vectors[4 * i + 3]) for i in range(3)
    ]
    np.testing.assert_allclose(np.sort(pairs.target), np.sort(expected), atol=1e-6)
    assert eer_of_pairs(pairs) <= eer_of_pairs(pairs_of(vectors, names))


def test_interval_by_speaker_equals_drawing_the_pairs_themselves():
    vectors, names = speakers(6, 3, spread=1.0)
    pairs = pairs_of(vectors, names)
    found = eer_interval(pairs, num_replicates=200, seed=3)
    rng, slow = np.random.default_rng(3), list[float]()
    while len(slow) < 200:
        times = np.bincount(rng.integers(6, size=6), minlength=6)
        weight = np.where(
            pairs.is_target, times[pairs.first], times[pairs.first] * times[pairs.second]
        )
        kept = [np.repeat(pairs.cosines[m], weight[m]) for m in (pairs.is_target, ~pairs.is_target)]
        if not all(scores.size for scores in kept):
            continue
        points = [
            (np.mean(kept[0] < t), np.mean(kept[1] >= t))
            for t in [*np.unique(np.concatenate(kept)), np.inf]
        ]
        slow.append(np.mean(min(points, key=lambda p: round(abs(p[0] - p[1]), 12))))
    low, high = np.quantile(slow, (0.025, 0.975))
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)
    assert found.low <= eer_of_pairs(pairs) <= found.high
