"""The work of ``export``: a run as a file, tried out before it gets its name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.config import Config, DataConfig
from rawnet_jax.config_file import SOURCE_NAME
from rawnet_jax.data.audio import Source
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.fetch import readable
from rawnet_jax.data.inputs import find_inputs
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.export.accuracy import eer_change, representative_rows, spread
from rawnet_jax.export.formats import WRITERS, check_format
from rawnet_jax.export.program import Program, program_of
from rawnet_jax.export.verify import TOLERANCE, CheckClips, make_check_clips, write_verified
from rawnet_jax.export_formats import INT8
from rawnet_jax.jobs.chosen_run import results_folder
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.options import RunOptions, at_least, with_speech
from rawnet_jax.json_text import parsed_json
from rawnet_jax.presets.files import is_preset, read_preset
from rawnet_jax.regular_file import read_regular
from rawnet_jax.run import Run
from rawnet_jax.scoring.sources import load_source_rule
from rawnet_jax.terminal import sized

NUM_RECORDINGS = 8
"""That a file is tried on where the corpus is at hand."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RunOptions):
    """Options of ``export``, named as its flags; see ``export --help``."""

    format: str
    output: Path | None
    num_samples: int | None
    threshold: float | None
    speech: str | None
    licence: str
    clips: Sequence[str]
    quantize: str | None
    partition: str

    def __post_init__(self) -> None:
        if self.quantize and self.format != "tflite":
            raise ConfigError(f"--quantize {self.quantize}: is for --format tflite")
        at_least("--num-samples", self.num_samples, 1)


def export(options: ExportOptions) -> int:
    """Write a run as a file; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the options, or with the file.
    """
    output = write_export(options)
    if not options.quantize:
        say_written([("written", f"{output}, {sized(output.stat().st_size)}")])
    return 0


def write_export(options: ExportOptions) -> Path:
    """Write a run as a file, and say all of it but where it is; returns where.

    Raises:
        RawnetError: see `export`.
    """
    overrides = with_speech(options.overrides, options.speech)
    run = Run.open(options.workdir, options.checkpoint, overrides)
    config = run.config
    check_format(options.format, config.model.name)
    output = _output(options)
    program = _program(options, run)
    recordings = _recordings(options, config.data)
    clips = make_check_clips(program, recordings, config.data.audio)
    if options.quantize:
        _export_int8(options, config, program, clips, output)
        return output
    content = WRITERS[options.format](program)
    found = write_verified(output, content, options.format, program, clips)
    _say_checked(found.largest, clips)
    return output


def _output(options: ExportOptions) -> Path:
    stem = f"model_{options.quantize}" if options.quantize else "model"
    output = options.output
    if output is None:
        output = results_folder(options.workdir) / f"{stem}.{options.format}"
        make_folder(output.parent)
    if output.is_dir() or not output.parent.is_dir():
        raise ConfigError(f"--output {output}: must be a file in a folder that exists")
    return output


def _program(options: ExportOptions, run: Run) -> Program:
    """Load the run, say what it is, and what its user must know."""
    program = program_of(run, num_samples=options.num_samples)
    decision = run.decision(threshold=options.threshold)
    licence = options.licence or _licence_noted(options.workdir)
    # Eight bits are too few: distances count what lies far outside the ranges seen.
    outliers = None if options.quantize else run.outliers
    sources = None if options.quantize else load_source_rule(run.workdir, run.step)
    program = program.with_decision(
        decision.calibration, decision.point, licence, outliers, sources
    )
    notes = list(decision.notes)
    if run.outliers is not None and outliers is None:
        notes.append("8-bit files do not tell what is unlike training; the run refuses that")
    say_written(
        [
            ("run", f"{options.workdir}, checkpoint {options.checkpoint}, step {program.step}"),
            ("input", program.metadata["inputs"]["waveform"]),
            ("threshold", decision.point.text),
            ("licence", program.metadata["license"]),
            *(("note", note) for note in notes),
        ]
    )
    return program


def _licence_noted(workdir: Path) -> str:
    """Return the licence that a preset or imported weights came with; "" where none is known."""
    if is_preset(workdir):
        return read_preset(workdir).licence
    path = workdir / SOURCE_NAME
    if not path.exists():
        return ""
    try:
        source = parsed_json(read_regular(path).decode("utf-8"))
        return str(source.get("licence", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: damaged: {error}") from error


def _recordings(options: ExportOptions, data: DataConfig) -> list[Source]:
    """Return recordings to try the file on; none, with a line, where the corpus is not at hand."""
    if options.clips:
        inputs = find_inputs(options.clips)
        if not inputs.paths:
            raise DataError("; ".join(inputs.problems) or "--clips: there is no recording")
        return [Path(path) for path in inputs.paths]
    for partition in ("eval", "dev"):
        try:
            listed = load_partition(data, partition, ProblemLedger(data.problems))
        except (DataError, ConfigError):
            continue
        return [readable(listed[i].audio) for i in spread(len(listed), NUM_RECORDINGS).tolist()]
    say_written([("note", "the corpus is not here; --clips names recordings to try it on")])
    return []


def _export_int8(
    options: ExportOptions, config: Config, program: Program, clips: CheckClips, output: Path
) -> None:
    """Write an 8-bit file, and say what it costs in errors where the corpus is at hand."""
    from rawnet_jax.export.tflite import export_tflite

    train = _partition(config.data, "train", clips)
    if train is None:
        say_written([("note", "the corpus is not here: ranges of numbers are those of --clips")])
        real = slice(clips.num_real)
        representative = clips.waveform[real], clips.num_samples[real]
    else:
        representative = representative_rows(program, train)
    content = export_tflite(program, quantize=INT8, representative=representative)
    partition = _partition(config.data, options.partition, clips)
    found = write_verified(output, content, options.format, program, clips, tolerance=math.inf)
    _say_checked(found.largest, clips)
    cost = f"not measured: {options.partition} is not here"
    if partition is not None:
        change = eer_change(output, options.format, program, partition)
        points = 100 * (change.exported - change.network)
        cost = (
            f"{100 * change.exported:.2f} %, {points:+.2f} points from the network's "
            f"{100 * change.network:.2f} % ({change.num_trials:,} trials, {options.partition})"
        )
    say_written([("EER", cost), ("written", f"{output}, {sized(output.stat().st_size)}")])


def _partition(data: DataConfig, name: str, clips: CheckClips) -> Clips | None:
    """Open a partition of the corpus; None where it is not at hand and `--clips` are.

    Raises:
        DataError: it cannot be read, and there are no `--clips` to do without.
        ConfigError: its list is not set, and there are no `--clips`.
    """
    try:
        return load_scoring_cache(data, name, progress=True)
    except (DataError, ConfigError) as error:
        if not clips.num_real:
            raise type(error)(f"{error}; or name recordings by --clips") from error
        return None


def _say_checked(largest: float, clips: CheckClips) -> None:
    others = len(clips.waveform) - clips.num_real
    recordings = "1 recording" if clips.num_real == 1 else f"{clips.num_real} recordings"
    what = f"{recordings} and {others} clips of noise and tones"
    bound = f"must be at most {TOLERANCE:g}" if largest <= TOLERANCE else "8-bit numbers"
    say_written([("checked", f"off by {largest:.2g} from Flax on {what} ({bound})")])
