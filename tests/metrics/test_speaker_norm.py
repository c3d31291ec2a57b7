"""How one person's genuine speech scores, against that of people in general."""

import numpy as np
import pytest

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.speaker_norm import LEAST_BETWEEN, Population, population_of


def drawn(num_speakers=400, clips=6, between=2.0, within=1.5, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(3, between, num_speakers)
    scores = means[:, None] + rng.normal(0, within, (num_speakers, clips))
    return means, scores, [f"s{i}" for i in range(num_speakers) for _ in range(clips)]


def test_the_variances_are_those_that_were_drawn():
    _, scores, speakers = drawn()
    found = population_of(scores.ravel(), speakers)
    assert (found.mean, found.within, found.between) == pytest.approx((3, 1.5**2, 4), rel=0.15)
    assert found.num_speakers == 400


def test_the_shift_takes_away_what_is_of_the_person_and_not_what_is_chance():
    means, scores, speakers = drawn(clips=4)
    people = population_of(scores.ravel(), speakers)
    left = {}
    for weight in ("shrunk", "whole"):
        shifts = np.array([people.shift(own) for own in scores])
        if weight == "whole":
            shifts = people.mean - scores.mean(axis=1)
        left[weight] = np.mean((means + shifts - 3) ** 2)
    # No other weight leaves less: within / n / (1 + within / (n between)).
    assert left["shrunk"] == pytest.approx(1 / (1 / 4 + 4 / 1.5**2), rel=0.15)
    assert left["shrunk"] < left["whole"]
    assert abs(people.shift(np.full(1, 0.0))) < abs(people.shift(np.zeros(50)))
    assert people.shift(np.zeros(0)) == 0


def test_people_who_seem_alike_still_count_a_little():
    _, scores, speakers = drawn(between=0.0)
    found = population_of(scores.ravel(), speakers)
    assert found.between == pytest.approx(LEAST_BETWEEN * found.within)
    assert Population(3.0, 0.0, 0.0, 2).shift(np.ones(3)) == 2.0


def test_it_takes_two_people_with_two_clips():
    with pytest.raises(MetricError, match="1 people with two recordings"):
        population_of(np.arange(4.0), ["a", "a", "b", "c"])
