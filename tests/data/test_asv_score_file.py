"""ASV score files: what is read, and that bad lines are named."""

from pathlib import Path

import pytest

from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.errors import DataError

GOOD = "bonafide target 7.98\nA07 spoof -1.5\n\nbonafide nontarget -3\r\nA08 spoof 2e0\n"


def test_columns_become_the_three_classes(tmp_path: Path) -> None:
    path = tmp_path / "asv.txt"
    path.write_text(GOOD)
    asv = read_asv_scores(path)
    assert asv.target.tolist() == [7.98]
    assert asv.nontarget.tolist() == [-3.0]
    assert asv.spoof.tolist() == [-1.5, 2.0]
    assert asv.attack_ids == ["A07", "A08"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "bonafide target\n", r":6: 2 columns; .* has three, 'group key score'"),
        ("LA_E_1 A07 spoof 0.5\n", ":1: 4 columns"),
        (GOOD + "LA_0007 LA_E_5013670 1.5\n", ":6: key 'LA_E_5013670' in the second of three"),
        (GOOD + "A07 spoof high\n", ":6: score 'high'; it must be a finite number"),
        (GOOD + "A07 spoof nan\n", ":6: score 'nan'"),
        ("A07 spoof 1\nA07 spoof 2\n", "no target and no nontarget trials"),
        ("", "the file is empty"),
    ],
)
def test_bad_files_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "asv.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=f"asv.txt.*{message}"):
        read_asv_scores(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        read_asv_scores(tmp_path / "none.txt")
