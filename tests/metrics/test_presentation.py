"""Rates of presentation attacks against counting, and claims against the binomial law."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.presentation import (
    BPCER_AT,
    Claim,
    Count,
    attacks_accepted,
    bpcer_at,
    genuine_rejected,
    riapar,
    threshold_at_apcer,
    trials_needed,
    upper_bound,
    worst,
)

SCORE = st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))
ATTACKS = st.lists(st.tuples(SCORE, st.sampled_from(["A07", "A10", None])), min_size=1, max_size=25)


def binomial_below(errors: int, trials: int, rate: float) -> float:
    """Probability of so many errors or fewer."""
    return sum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(errors + 1)
    )


@given(ATTACKS, st.integers(-4, 4).map(float))
def test_each_species_is_counted(trials, threshold) -> None:
    found = attacks_accepted([s for s, _ in trials], [a for _, a in trials], threshold)
    names = {a or "(not stated)" for _, a in trials}
    assert [c.name for c in found] == sorted(names, key=lambda n: (n == "(not stated)", n))
    for count in found:
        own = [s for s, a in trials if (a or "(not stated)") == count.name]
        answered = [s for s in own if not math.isnan(s)]
        assert count.num_trials == len(answered)
        assert count.num_errors == sum(s >= threshold for s in answered)
        assert count.num_without_answer == len(own) - len(answered)
        assert count.share_without_answer == pytest.approx(1 - len(answered) / len(own))


@given(ATTACKS, st.lists(SCORE, max_size=12), st.sampled_from([*BPCER_AT.values(), 0.0, 1.0]))
def test_bpcer_at_a_fixed_apcer_equals_a_search(trials, bonafide, limit) -> None:
    scores, attacks = [s for s, _ in trials], [a for _, a in trials]
    if all(math.isnan(s) for s in scores):
        with pytest.raises(MetricError, match="a score that is a number"):
            threshold_at_apcer(scores, attacks, limit)
        return
    values = sorted({s for s in (*scores, *bonafide) if not math.isnan(s)})
    candidates = [-math.inf, *values, *(math.nextafter(v, math.inf) for v in values)]

    def allowed(t: float) -> bool:
        return all((c.rate or 0.0) <= limit for c in attacks_accepted(scores, attacks, t))

    lowest = min(t for t in candidates if allowed(t))
    slow = sum(s < lowest for s in bonafide if not math.isnan(s))
    assert bpcer_at(bonafide, scores, attacks, limit).num_errors == slow


@given(st.integers(0, 6), st.integers(0, 60))
def test_upper_bound_is_where_so_few_errors_become_unlikely(errors, more) -> None:
    trials = errors + more
    bound = upper_bound(errors, trials)
    if errors == trials:
        assert bound == 1.0
    else:
        assert binomial_below(errors, trials, bound) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(
    ("limit", "needed"),
    [(0.07, [42, 66, 88, 109]), (0.15, [19, 30, 40, 50]), (0.05, [59, 93, 124, 153])],
)
def test_trials_that_a_claim_needs(limit, needed) -> None:
    assert [trials_needed(limit, errors) for errors in range(4)] == needed
    for errors, trials in enumerate(needed):
        assert (
            binomial_below(errors, trials, limit)
            <= 0.05
            < binomial_below(errors, trials - 1, limit)
        )


def test_one_in_ten_thousand() -> None:
    assert trials_needed(1e-4) == 29_956


@pytest.mark.parametrize(
    ("count", "claim"),
    [
        (Count("A", 42, 0), Claim.SHOWN),
        (Count("A", 41, 0), Claim.NOT_SHOWN),
        (Count("A", 0, 0, 500), Claim.NOT_SHOWN),
        (Count("A", 42, 1), Claim.NOT_SHOWN),
        (Count("A", 66, 1), Claim.SHOWN),
        (Count("A", 100, 7), Claim.NOT_MET),
        (Count("A", 3, 3), Claim.NOT_MET),
    ],
)
def test_claims(count, claim) -> None:
    assert count.claim(0.07) == claim


def test_the_worst_species_is_the_result() -> None:
    counts = [Count("A", 100, 1), Count("B", 10, 2), Count("C", 50, 10), Count("D", 0, 0, 9)]
    assert worst(counts).name == "B"
    with pytest.raises(MetricError, match="no species"):
        worst(counts[-1:])


def test_riapar_is_the_standards_formula() -> None:
    assert riapar(0.1, 0.05) == pytest.approx(1 + (0.1 - (1 - 0.05)))


def test_genuine_presentations_without_an_answer_are_no_errors() -> None:
    count = genuine_rejected([math.nan, 1.0, -1.0, math.nan], 0.0)
    assert (count.num_trials, count.num_errors, count.share_without_answer) == (2, 1, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attacks_accepted([0.0], ["A", "B"], 0.0), "1 scores of attacks and 2 species"),
        (lambda: attacks_accepted([math.inf], ["A"], 0.0), "finite or NaN"),
        (lambda: attacks_accepted([0.0], ["A"], math.nan), "threshold is NaN"),
        (lambda: upper_bound(3, 2), "impossible"),
        (lambda: trials_needed(1.0), "must be in"),
    ],
)
def test_refusals(call, message) -> None:
    with pytest.raises(MetricError, match=message):
        call()
