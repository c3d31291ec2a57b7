"""What corpora call by different names and write in different words: who speaks, and over what."""

from collections.abc import Mapping, Sequence

from rawnet_jax.metrics.breakdown import Column

COMMON: Mapping[str, tuple[str, ...]] = {
    "language": ("lang", "locale", "language_code"),
    "accent": ("accents", "dialect"),
    "sex": ("gender", "speaker_sex", "speaker_gender"),
    "age": ("age_group", "age_range", "speaker_age"),
    "device": ("microphone", "mic", "recording_device", "asv_microphone", "handset"),
    "codec": ("compression", "audio_codec", "coding"),
    "length": ("duration", "duration_s", "length_s", "seconds"),
    "channel": ("transmission", "network", "recording_channel"),
}
"""Common names, and the names that corpora and lists have for them."""

_COMMON_OF = {other: name for name, others in COMMON.items() for other in others}

_SEXES = {
    **dict.fromkeys(("f", "female", "woman", "w", "girl"), "female"),
    **dict.fromkeys(("m", "male", "man", "boy"), "male"),
}
_LANGUAGES = {
    **{"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it"},
    **{"polish": "pl", "russian": "ru", "ukrainian": "uk", "japanese": "ja", "korean": "ko"},
    **{"chinese": "zh", "mandarin": "zh", "zh-cn": "zh", "arabic": "ar", "hindi": "hi"},
    **{"portuguese": "pt", "dutch": "nl", "turkish": "tr"},
}
_AGES = (
    (18, "under 18"),
    (30, "18 to 29"),
    (45, "30 to 44"),
    (60, "45 to 59"),
    (130, "60 or more"),
)
_LENGTHS_S = (1.0, 2.0, 4.0, 8.0, 16.0)


def common_name(name: str) -> str:
    """Return the common name of a column; its own where it has none."""
    return _COMMON_OF.get(name, name)


def under_common_names(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns under their common names, with common words for sexes, languages and ages.

    A column keeps its name where another one has the common one, or would get it too.
    """
    claims = [common_name(name) for name in columns]
    return {
        (name if claims.count(claim) > 1 and claim != name else claim): (
            _in_common_words(claim, column) if claims.count(claim) == 1 else column
        )
        for (name, column), claim in zip(columns.items(), claims, strict=True)
    }


def _in_common_words(name: str, column: Column) -> Column:
    word_of = {"sex": _sex, "language": _language, "age": _age, "length": _length}.get(name)
    if word_of is None:
        return column
    words = {value: value if value is None else word_of(value) for value in set(column)}
    return [words[value] for value in column]


def _sex(value: str) -> str:
    return _SEXES.get(value.strip().lower(), value)


def _language(value: str) -> str:
    return _LANGUAGES.get(value.strip().lower(), value)


def _age(value: str) -> str:
    """Return the band of an age in years; other words stay."""
    if not value.strip().isdigit():
        return value
    return next((band for end, band in _AGES if int(value) < end), value)


def _length(value: str) -> str:
    """Return the band of a length in seconds; other words stay."""
    try:
        seconds = float(value)
    except ValueError:
        return value
    return length_band(seconds) if seconds >= 0 else value


def length_band(seconds: float) -> str:
    """Return the name of the band of lengths that a recording is in."""
    band = sum(seconds >= end for end in _LENGTHS_S)
    if not band:
        return f"under {_LENGTHS_S[0]:g} s"
    if band == len(_LENGTHS_S):
        return f"{_LENGTHS_S[-1]:g} s or more"
    return f"{_LENGTHS_S[band - 1]:g} to {_LENGTHS_S[band]:g} s"


def names_here(names: Sequence[str], known: Mapping[str, Column]) -> tuple[str, ...]:
    """Return names of columns as they are here; a corpus's own stands for the common one."""
    return tuple(name if name in known else common_name(name) for name in names)
