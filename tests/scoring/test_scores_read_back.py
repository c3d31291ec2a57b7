"""Whatever ``score --output`` writes goes back into ``evaluate --scores``: all forms, any names."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from rawnet_jax.data.matching import named_as
from rawnet_jax.data.protocols import without_extension
from rawnet_jax.data.score_file import SCORE_FILE_FORMS, read_scores
from rawnet_jax.data.text_file import as_text
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.score_forms import ASVSPOOF2017, NAMES, Form, form_of
from rawnet_jax.scoring.score_output import ScoreOutput
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint, record_of
from rawnet_jax.scoring.windows import WindowScores

JUDGE = DecisionRule(OperatingPoint(0.0, "given", highest=100.0))
FORMS = [
    (form, names, time_line)
    for form in ("jsonl", "csv", ASVSPOOF2017, *SCORE_FILE_FORMS)
    for names in (None, *NAMES)
    for time_line in ((False, True) if form == "csv" else (False,))
]

_PART = st.text(
    st.one_of(
        st.sampled_from("ab01.-_ '\"=+@,;|\t\\{[#éя\u2028\udce9"),
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=8,
)
_NAME = st.builds("/".join, st.lists(_PART, min_size=1, max_size=3))
_SCORE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def utterance(name: str) -> str:
    """Return what a list of one's own calls a file; see `rawnet_jax.data.manifests`."""
    return "_".join(as_text(without_extension(name)).split())


def can_stand_in(form: Form, name: str) -> bool:
    try:
        form.check([name])
    except ConfigError:
        return False
    return True


def result(path: str, score: float | None) -> FileScore:
    outcome = Outcome.CANNOT_JUDGE if score is None else Outcome.SCORED
    score_of_window = np.nan if score is None else score
    start = np.zeros(1)
    windows = WindowScores(start, start + 1, np.array([score_of_window], np.float32), start == 1)
    return FileScore(path, outcome, score, "" if score else "why", 1.0, 1.0, 1, windows)


@pytest.mark.parametrize(("form", "names", "time_line"), FORMS)
@given(
    given_scores=st.dictionaries(_NAME, st.one_of(st.none(), _SCORE), min_size=1, max_size=6),
)
@example(given_scores={"=1+1.wav": 1.0, "'=x.wav": 2.0, "-dash.wav": 3.0, "b.wav": None})
@example(given_scores={"+5": 1.0, "1": -1.0, "0.5": 0.25})
@example(given_scores={"file": 1.0, "score": -1.0})
@example(given_scores={"{": 1.0, "\r:": 2.0, "0 /0": -1.0, "a/ ": 5.0, "17.wav": 101.0})
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_form_is_read_back(tmp_path, form, names, time_line, given_scores):
    written = form_of(form, names, time_line=time_line)
    given_scores = {name: s for name, s in given_scores.items() if can_stand_in(written, name)}
    ids = {utterance(written.name(name)): score for name, score in given_scores.items()}
    wanted = {name: score for name, score in ids.items() if score is not None}
    assume(len(ids) == len(given_scores) and wanted and all(ids))
    path = tmp_path / "s.out"
    with ScoreOutput(path, written, {}, overwrite=True) as output:
        for name, score in given_scores.items():
            output.write(record_of(result(name, score), JUDGE, time_line=time_line))
    table, _ = named_as(read_scores(path), list(ids))
    assert dict(zip(table.utterance_ids, table.scores.tolist(), strict=True)) == wanted
