"""What an engine and a voice are, and how a sentence becomes a WAV file."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.terminal import one_line

_MAX_SAID = 200
_LIST_TIMEOUT_S = 30.0
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "–": "-", "—": "-", "\u00a0": " "}
)
# Some engines take these for markup: Pico plays files that a tag names.
_MARKUP = str.maketrans(dict.fromkeys("<>[]{}|\\^`~", " "))


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of an engine.

    Attributes:
        engine: name of the engine.
        name: by which ``--voices`` calls it, without blanks.
        language: such as ``en`` or ``en-us``; "" = unknown.
        licence: of the voice's data; what is not known is said so.
        model: file or folder that the engine loads it from; "" = it finds it by the name.
        detail: what else the engine needs to know.
    """

    engine: str
    name: str
    language: str
    licence: str
    model: str = ""
    detail: str = ""

    @property
    def full_name(self) -> str:
        """Engine and voice, such as ``flite:slt``."""
        return f"{self.engine}:{self.name}"

    def speaks(self, language: str) -> bool:
        """Tell whether it speaks a language: ``en`` takes ``en-us``, ``en-us`` not ``en``."""
        own, asked = self.language.lower(), language.lower()
        return own == asked or own.startswith(f"{asked}-")


@dataclass(frozen=True, slots=True)
class Call:
    """A command that speaks one sentence.

    Attributes:
        words: program and arguments; no shell sees them.
        stdin: bytes that it reads.
    """

    words: tuple[str, ...]
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be spoken.

    Attributes:
        text: one line, see `spoken_text`.
        voice: by whom.
        settings: numbers by name, see `Engine.settings`.
        folder: empty; temporary files may be written there.
        output: WAV file to write, in `folder`.
    """

    text: str
    voice: Voice
    settings: Mapping[str, float]
    folder: Path
    output: Path

    def text_file(self, encoding: str = "utf-8") -> str:
        """Write the text to a file and return its path.

        Raises:
            DataError: the encoding lacks a character.
        """
        path = self.folder / "text.txt"
        path.write_bytes(encoded_text(f"{self.text}\n", encoding))
        return str(path)


Words = tuple[str, ...]
"""A program, with what stands before its own arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One text-to-speech engine.

    Attributes:
        name: in ``--engine`` and in the protocol.
        family: how it makes speech; engines of a family share their faults.
        about: in a few words.
        licence: of the program.
        install: what to type to have it.
        is_deterministic: the same request gives the same samples.
        find: returns the program, or None where it is not installed.
        list_voices: returns voices, given the program and folders with models.
        call: returns the command for a request.
        settings: least and greatest value of what is drawn for each clip.
        version: arguments that make it tell its version; empty = it cannot.
        distributions: of Python that may give it, for its version.
    """

    name: str
    family: str
    about: str
    licence: str
    install: str
    is_deterministic: bool
    find: Callable[[], Words | None]
    list_voices: Callable[[Words, Sequence[Path]], list[Voice]]
    call: Callable[[Words, Request], Call]
    settings: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    version: Words = ()
    distributions: tuple[str, ...] = ()

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Return settings for one clip."""
        return {
            name: round(float(rng.uniform(low, high)), 3)
            for name, (low, high) in self.settings.items()
        }


def on_path(*names: str) -> Callable[[], Words | None]:
    """Return what finds a program: the first of these names that is on PATH."""

    def find() -> Words | None:
        found = (shutil.which(name) for name in names)
        return next(((path,) for path in found if path), None)

    return find


def spoken_text(text: str) -> str:
    """Return what engines get: typographic quotes and dashes made plain, no markup characters."""
    return " ".join(text.translate(_PLAIN).translate(_MARKUP).split())


def encoded_text(text: str, encoding: str) -> bytes:
    """Return text in the encoding of a voice.

    Raises:
        DataError: the encoding is unknown or lacks a character.
    """
    try:
        return text.encode(encoding)
    except LookupError:
        raise DataError(
            f"the voice needs the encoding {encoding}, which Python does not know"
        ) from None
    except UnicodeEncodeError as error:
        lacking = error.object[error.start]
        raise DataError(f"the voice's encoding {encoding} cannot represent {lacking!r}") from None


def output_of(words: Sequence[str], stdin: bytes = b"", *, any_status: bool = False) -> str:
    """Return what a program says on standard output.

    Raises:
        DataError: it cannot be started, fails, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        call = Call(tuple(words), stdin)
        return run_call(call, Path(folder), _LIST_TIMEOUT_S, any_status=any_status)


def run_call(call: Call, folder: Path, timeout_s: float, *, any_status: bool = False) -> str:
    """Run a program in a folder and return its standard output.

    It gets a process group of its own, which is killed when it takes too long or when this
    process is interrupted.

    Args:
        call: the program and what it reads.
        folder: its working directory.
        timeout_s: seconds that it may take.
        any_status: an exit status other than 0 is not an error.

    Raises:
        DataError: it cannot be started, fails, or takes too long.
    """
    name = Path(call.words[0]).name
    try:
        process = subprocess.Popen(
            call.words,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise DataError(f"{call.words[0]}: cannot be started: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(call.stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise DataError(f"{name} took more than {timeout_s:g} s and was stopped") from None
        except BaseException:
            _kill(process)
            raise
    if process.returncode and not any_status:
        raise DataError(f"{name} failed ({_ending(process.returncode)}){_said(err or out)}")
    return out.decode("utf-8", "replace")


def speak(engine: Engine, program: Words, request: Request, timeout_s: float) -> None:
    """Write the WAV file of a request.

    Raises:
        DataError: the engine fails, takes too long, or writes nothing.
    """
    run_call(engine.call(program, request), request.folder, timeout_s)
    try:
        size = request.output.stat().st_size
    except OSError:
        size = 0
    if not size:
        raise DataError(f"{Path(program[0]).name} wrote no audio")


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _said(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return f": {one_line(last)[:_MAX_SAID]}" if last else ""
