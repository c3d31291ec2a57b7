"""JSON of files that may be damaged."""

import pytest

from rawnet_jax.json_text import parsed_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("1" * 301, "a number of 301 digits"),
        ('{"scale": -' + "9" * 5000 + "}", "a number of 5,001 digits"),
        ("{", "Expecting"),
    ],
)
def test_what_is_no_json_of_ours(text, message):
    with pytest.raises(ValueError, match=message):
        parsed_json(text)


def test_every_whole_number_that_is_taken_is_near_a_float():
    assert float(parsed_json("9" * 300)) == pytest.approx(1e300)
    assert parsed_json('{"a": [1, -2, 1e5]}') == {"a": [1, -2, 1e5]}
