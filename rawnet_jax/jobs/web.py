"""The work of ``web``: the page with a model, as a folder or behind a local server."""

import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.atomic_file import new_folder, refuse_used
from rawnet_jax.config import Config
from rawnet_jax.config_file import read_config
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.export import ExportOptions, write_export
from rawnet_jax.jobs.options import RunOptions
from rawnet_jax.labels import Label
from rawnet_jax.presets.files import is_preset, read_preset
from rawnet_jax.scoring.enrolled import enrolled_voice
from rawnet_jax.terminal import say
from rawnet_jax.web.server import make_server
from rawnet_jax.web.site import (
    MODEL,
    Measured,
    built_folder,
    copy_page,
    known_rates,
    rates_of,
    server_origin,
    write_info,
)


@dataclass(frozen=True, kw_only=True)
class WebOptions(RunOptions):
    """Options of ``web``, named as its flags; see ``web --help``."""

    export: Path | None
    port: int
    browser: bool
    scores: Path | None
    server: str | None = None
    speaker: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"--port {self.port}: it must be 0 to 65535")
        if self.server is not None:
            object.__setattr__(self, "server", server_origin(self.server))
        if self.server is not None and self.speaker is not None:
            raise ConfigError("--speaker: is for a page that scores itself, not for --server")


def web(options: WebOptions) -> int:
    """Write the page, or serve it until Ctrl-C; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the options; the page was not built.
    """
    built_folder()  # before the model is exported, which takes seconds
    if options.export is not None:
        refuse_used(options.export, "--export")
        with new_folder(options.export, "--export") as folder:
            _write_site(folder, options)
        say_written([("page", f"{options.export}, for any file server")])
        return 0
    with tempfile.TemporaryDirectory(prefix="rawnet_jax_web_") as name:
        server = make_server(Path(name), options.port, options.server)
        try:
            _write_site(Path(name), options)
            address = f"http://localhost:{server.server_address[1]}/"
            say(f"page:        {address}, on this machine alone; Ctrl-C ends it\n")
            if options.browser:
                webbrowser.open(address)
            with ended_by_signals():
                server.serve_forever()
        finally:
            server.server_close()
    return 0


def _write_site(folder: Path, options: WebOptions) -> None:
    measured = _measured(options)
    copy_page(folder, options.server)
    workdir, speaker = options.workdir, options.speaker
    voice = None if speaker is None else enrolled_voice(workdir, speaker)
    write_info(folder, *_described(workdir), measured, options.server, voice)
    if options.server is not None:
        return
    write_export(
        ExportOptions(
            workdir=options.workdir,
            checkpoint=options.checkpoint,
            overrides=options.overrides,
            format="onnx",
            output=folder / MODEL,
            num_samples=None,
            threshold=None,
            speech=None,
            licence="",
            clips=(),
            quantize=None,
            partition="eval",
        )
    )


def _measured(options: WebOptions) -> Measured | None:
    if options.scores is not None:
        table = read_scores(options.scores)
        if table.labels is None:
            raise DataError(f"--scores {options.scores}: its trials have no keys; they must have")
        is_bonafide = table.labels == Label.BONAFIDE
        of_both = (table.scores[is_bonafide], table.scores[~is_bonafide])
        return rates_of(*of_both, f"on the trials of {options.scores.name}")
    workdir = options.workdir
    return known_rates(read_preset(workdir).name) if is_preset(workdir) else None


def _described(workdir: Path) -> tuple[str, str]:
    if is_preset(workdir):
        preset = read_preset(workdir)
        return preset.name, preset.card
    config = read_config(workdir)
    return config.name, _card_of(config)


def _card_of(config: Config) -> str:
    """Return what is known of a run that nobody has written a card for."""
    note = f"\n\n{config.note}" if config.note else ""
    return (
        f"## What it is\n\nThe run `{config.name}`: a `{config.model.name}`, trained on the corpus "
        f"`{config.data.corpus}`.{note}\n\n## Where it fails\n\nNobody has written that down for "
        "this run: it has no model card. Take no verdict of it for more than a hint."
    )
