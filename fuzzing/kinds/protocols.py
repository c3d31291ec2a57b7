"""Protocols and lists through ``check`` and a training of one epoch."""

import os
from pathlib import Path

from fuzzing.case import Attempt, Rng
from fuzzing.material import Material, config_text
from fuzzing.mutate_text import damaged_lines

_LISTS = ("protocols", "manifest", "asvspoof2019_la", "asvspoof5")


def _own_corpus(material: Material, folder: Path) -> Path:
    """Make a corpus with the recordings of the material and protocols of its own."""
    corpus = folder / "corpus"
    (corpus / "protocol_V2").mkdir(parents=True)
    for name in os.listdir(material.corpus):
        if name.startswith("ASV"):
            (corpus / name).symlink_to(material.corpus / name)
    for name, content in material.protocols.items():
        (corpus / "protocol_V2" / name).write_bytes(content)
    return corpus


def _list_of(material: Material, form: str) -> bytes:
    """Return the trials of the corpus in another form."""
    rows = []
    for name, content in material.protocols.items():
        partition = name.split(".")[0].rpartition("_")[2]
        for line in content.decode().splitlines():
            file, key, speaker, *_ = line.split()
            rows.append((partition, file, "bonafide" if key == "genuine" else key, speaker))
    if form == "manifest":
        lines = ["path,label,speaker,partition"]
        lines += [f"ASVspoof2017_V2_{p}/{file},{key},{s},{p}" for p, file, key, s in rows]
    elif form == "asvspoof5":
        lines = [f"{s} {file[:-4]} F - - - - - {key} -" for _, file, key, s in rows]
    else:
        lines = [f"{s} {file[:-4]} - - {key}" for _, file, key, s in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def _damaged_corpus(rng: Rng, material: Material, folder: Path) -> tuple[list[str], str]:
    """Write a corpus with a damaged list; return flags of the config, and what was done."""
    corpus = _own_corpus(material, folder)
    config = folder / "config.py"
    config.write_text(config_text(corpus, folder / "cache"), encoding="utf-8")
    form = _LISTS[rng.choice(4, p=[0.55, 0.25, 0.1, 0.1])]
    flags = [f"--config={config}"]
    if form == "protocols":
        names = sorted(os.listdir(corpus / "protocol_V2"))
        path = corpus / "protocol_V2" / names[rng.integers(len(names))]
        content, said = damaged_lines(path.read_bytes(), rng)
        path.write_bytes(content)
        return flags, f"{path.name}: {said}"
    content, said = damaged_lines(_list_of(material, form), rng)
    suffix = (".csv", ".tsv", ".txt")[rng.integers(3)] if form == "manifest" else ".txt"
    (corpus / f"list{suffix}").write_bytes(content)
    flags.append(f"--config.data.corpus={form}")
    flags += [f"--config.data.{part}_protocol=list{suffix}" for part in ("train", "dev", "eval")]
    return flags, f"{form}: {said}"


def check(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Check a corpus with a damaged list."""
    flags, said = _damaged_corpus(rng, material, folder)
    words = ["check", *flags, "--no-progress", *(["--decode"] if rng.random() < 0.1 else [])]
    return Attempt(words, said, statuses=(0, 1, 2))


def train(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Train on a corpus with a damaged list."""
    flags, said = _damaged_corpus(rng, material, folder)
    words = ["train", *flags, "--workdir", "written/run", "--no-progress"]
    return Attempt(words, said, statuses=(0, 2))
