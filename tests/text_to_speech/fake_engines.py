"""Small scripts that stand for engines, on a PATH of their own."""

from pathlib import Path

import numpy as np
import soundfile

# Says what a voice says, by name: slt speaks, rms fails, kal hangs, awb is silent, mute writes
# nothing. The text decides the sound: its file is played after a fixed one.
FLITE = """\
#!/bin/sh
if [ "$1" = -lv ]; then echo "Voices available: {voices} "; exit 0; fi
if [ "$1" = --version ]; then echo "  version: flite-9.1 fake"; exit 1; fi
voice=; out=
while [ $# -gt 0 ]; do
  case "$1" in
    -voice) voice=$2; shift;;
    -f) text=$2; shift;;
    -o) out=$2; shift;;
  esac
  shift
done
echo "$voice $(/bin/cat "$text")" >> {folder}/spoken.txt
case "$voice" in
  rms) echo "first line" >&2; echo "no such unit" >&2; exit 3;;
  kal) echo $$ > {folder}/pid; /bin/sleep 60;;
  awb) /bin/cp {folder}/silence.wav "$out";;
  mute) ;;
  *) /bin/cp {folder}/speech.wav "$out";;
esac
"""
PICO = """\
#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in -w) out=$2; shift;; -l) lang=$2; shift;; esac; shift; done
echo "pico $lang $(/bin/cat)" >> {folder}/spoken.txt
/bin/cp {folder}/speech.wav "$out"
"""


def put_on_path(folder: Path, monkeypatch, voices: str = "slt", *, pico: bool = False) -> Path:
    """Make a folder with a fake Flite, and perhaps a fake Pico, the whole PATH; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(16_000) / 22_050
    soundfile.write(folder / "speech.wav", 0.3 * np.sin(2 * np.pi * 300 * time_s), 22_050)
    soundfile.write(folder / "silence.wav", np.zeros(16_000), 16_000)
    scripts = {"flite": FLITE, **({"pico2wave": PICO} if pico else {})}
    for name, text in scripts.items():
        filled = text.replace("{voices}", voices).replace("{folder}", str(folder))
        (folder / name).write_text(filled)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def spoken(folder: Path) -> list[str]:
    """Return voice and text of each sentence that was spoken."""
    path = folder / "spoken.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
