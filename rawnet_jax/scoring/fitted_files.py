"""The files of what was fitted for a run."""

from rawnet_jax.scoring.enrolled import VOICES_JSON
from rawnet_jax.scoring.outlier import OUTLIER_FILE
from rawnet_jax.scoring.reference import REFERENCE_FILE
from rawnet_jax.scoring.sources import SOURCES_FILE
from rawnet_jax.scoring.verdict import CALIBRATION_JSON, THRESHOLD_JSON

FITTED_FILES = (
    *(CALIBRATION_JSON, THRESHOLD_JSON, OUTLIER_FILE, REFERENCE_FILE),
    *(VOICES_JSON, SOURCES_FILE),
)
"""What decides the verdicts of a run, and what `adapt` goes by; a preset has copies of them."""
