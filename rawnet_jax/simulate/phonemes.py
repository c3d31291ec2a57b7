"""What the synthesiser can speak: an inventory of English phonemes and ten fixed phrases.

Names are ARPAbet; a ``1`` behind a vowel marks a stressed syllable. Formant targets are those of an
average man: vowels after Peterson and Barney, "Control methods used in a study of the vowels",
JASA 24 (1952), table II; consonants close to Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 67 (1980), table III. Durations and noise bands are rounded by ear and eye.
"""

from dataclasses import dataclass

NASAL_POLE_HZ = 270.0
"""Pole of the nasal tract; a zero at the same place cancels it in all but nasal sounds."""

Formants = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Phoneme:
    """Targets of one sound.

    Attributes:
        formants_hz: first three formants; two rows for a diphthong, none to borrow a neighbour's.
        duration_s: at an average speaking rate, unstressed.
        voicing: amplitude of the glottal source, 1 = a vowel's.
        aspiration: amplitude of noise made at the glottis; it passes the formants.
        noise_hz: centre and bandwidth of noise made at a constriction.
        noise: amplitude of that noise.
        closure: share of the duration with the mouth shut; 0 for continuants.
        nasal_zero_hz: zero of the nasal branch.
    """

    formants_hz: tuple[Formants, ...]
    duration_s: float
    voicing: float = 1.0
    aspiration: float = 0.0
    noise_hz: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    closure: float = 0.0
    nasal_zero_hz: float = NASAL_POLE_HZ


def _vowel(duration_s: float, *formants_hz: Formants) -> Phoneme:
    return Phoneme(formants_hz, duration_s)


def _glide(duration_s: float, formants_hz: Formants) -> Phoneme:
    return Phoneme((formants_hz,), duration_s, voicing=0.7)


def _nasal(duration_s: float, formants_hz: Formants, zero_hz: float) -> Phoneme:
    return Phoneme((formants_hz,), duration_s, voicing=0.6, nasal_zero_hz=zero_hz)


def _fricative(
    duration_s: float, formants_hz: Formants, noise_hz: tuple[float, float], noise: float
) -> Phoneme:
    return Phoneme((formants_hz,), duration_s, voicing=0.0, noise_hz=noise_hz, noise=noise)


def _voiced_fricative(
    duration_s: float, formants_hz: Formants, noise_hz: tuple[float, float], noise: float
) -> Phoneme:
    return Phoneme((formants_hz,), duration_s, voicing=0.35, noise_hz=noise_hz, noise=noise)


def _stop(formants_hz: Formants, noise_hz: tuple[float, float], noise: float) -> Phoneme:
    return Phoneme(
        (formants_hz,), 0.115, 0.0, aspiration=0.35, noise_hz=noise_hz, noise=noise, closure=0.6
    )


def _voiced_stop(formants_hz: Formants, noise_hz: tuple[float, float], noise: float) -> Phoneme:
    return Phoneme((formants_hz,), 0.075, 0.15, noise_hz=noise_hz, noise=noise, closure=0.8)


PHONEMES: dict[str, Phoneme] = {
    "IY": _vowel(0.11, (270, 2290, 3010)),
    "IH": _vowel(0.085, (390, 1990, 2550)),
    "EH": _vowel(0.10, (530, 1840, 2480)),
    "AE": _vowel(0.13, (660, 1720, 2410)),
    "AA": _vowel(0.13, (730, 1090, 2440)),
    "AO": _vowel(0.13, (570, 840, 2410)),
    "UH": _vowel(0.09, (440, 1020, 2240)),
    "UW": _vowel(0.11, (300, 870, 2240)),
    "AH": _vowel(0.09, (640, 1190, 2390)),
    "ER": _vowel(0.12, (490, 1350, 1690)),
    "AX": _vowel(0.06, (500, 1450, 2450)),
    "EY": _vowel(0.14, (530, 1840, 2480), (330, 2150, 2700)),
    "AY": _vowel(0.16, (730, 1150, 2440), (390, 1990, 2550)),
    "OY": _vowel(0.17, (570, 840, 2410), (390, 1900, 2550)),
    "OW": _vowel(0.14, (550, 950, 2350), (400, 870, 2240)),
    "AW": _vowel(0.16, (730, 1250, 2440), (440, 1020, 2240)),
    "W": _glide(0.07, (290, 650, 2150)),
    "Y": _glide(0.07, (260, 2070, 3020)),
    "R": _glide(0.07, (310, 1060, 1450)),
    "L": _glide(0.07, (310, 1050, 2880)),
    "M": _nasal(0.075, (380, 1150, 2150), 1000.0),
    "N": _nasal(0.07, (380, 1450, 2500), 1600.0),
    "NG": _nasal(0.08, (380, 1950, 2750), 2600.0),
    "F": _fricative(0.10, (340, 1100, 2080), (5500, 5000), 0.10),
    "TH": _fricative(0.09, (320, 1290, 2540), (6000, 4000), 0.08),
    "S": _fricative(0.11, (320, 1390, 2530), (5600, 1500), 0.40),
    "SH": _fricative(0.12, (300, 1840, 2750), (2900, 900), 0.40),
    "V": _voiced_fricative(0.065, (220, 1100, 2080), (5500, 5000), 0.04),
    "DH": _voiced_fricative(0.05, (270, 1290, 2540), (6000, 4000), 0.03),
    "Z": _voiced_fricative(0.08, (240, 1390, 2530), (5600, 1500), 0.22),
    "ZH": _voiced_fricative(0.08, (300, 1840, 2750), (2900, 900), 0.22),
    "HH": Phoneme((), 0.065, voicing=0.0, aspiration=0.5),
    "P": _stop((400, 1000, 2150), (900, 900), 0.5),
    "T": _stop((400, 1700, 2600), (4300, 2000), 0.9),
    "K": _stop((300, 1900, 2400), (1900, 600), 0.7),
    "B": _voiced_stop((200, 1000, 2150), (900, 900), 0.3),
    "D": _voiced_stop((200, 1700, 2600), (4000, 2000), 0.5),
    "G": _voiced_stop((200, 1900, 2400), (1900, 600), 0.4),
    "CH": Phoneme(((320, 1800, 2700),), 0.15, 0.0, noise_hz=(3100, 1000), noise=0.55, closure=0.45),
    "JH": Phoneme(
        ((260, 1800, 2700),), 0.12, 0.15, noise_hz=(3000, 1000), noise=0.35, closure=0.45
    ),
    "PAU": Phoneme((), 0.12, voicing=0.0),
}
"""Every sound by its ARPAbet name."""

_SENTENCES = {
    # The morning train was late again.
    "S01": "DH AX M AO1 R N IH NG T R EY1 N W AX Z L EY1 T AX G EH1 N",
    # Please close the garden door.
    "S02": "P L IY1 Z K L OW1 Z DH AX G AA1 R D AX N D AO1 R",
    # Seven green apples fell down.
    "S03": "S EH1 V AX N G R IY1 N AE1 P AX L Z F EH1 L D AW1 N",
    # We measured the noise in June.
    "S04": "W IY M EH1 ZH ER D DH AX N OY1 Z IH N JH UW1 N",
    # My voice opens every lock.
    "S05": "M AY1 V OY1 S OW1 P AX N Z EH1 V R IY L AA1 K",
    # Should the boat wait, or sail?
    "S06": "SH UH D DH AX B OW1 T W EY1 T PAU AO R S EY1 L",
    # A yellow moon hung over the hill.
    "S07": "AX Y EH1 L OW M UW1 N HH AH1 NG OW1 V ER DH AX HH IH1 L",
    # Nobody thought of the third key.
    "S08": "N OW1 B AX D IY TH AO1 T AX V DH AX TH ER1 D K IY1",
    # Check the battery twice a year.
    "S09": "CH EH1 K DH AX B AE1 T ER IY T W AY1 S AX Y IH1 R",
    # Good evening, my name is known.
    "S10": "G UH D IY1 V N IH NG PAU M AY N EY1 M IH Z N OW1 N",
}

PHRASES: dict[str, tuple[str, ...]] = {
    phrase_id: tuple(sentence.split()) for phrase_id, sentence in _SENTENCES.items()
}
"""Ten phrases, ``S01`` to ``S10``, each a tuple of phoneme names with stress marks."""
