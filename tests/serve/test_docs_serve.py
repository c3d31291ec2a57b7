"""docs/serve.md, typed as it stands there, and the files that start the service elsewhere."""

import argparse
import json
import re
import shlex
import shutil

import pytest
import soundfile

from rawnet_jax.cli import serve as command
from rawnet_jax.serve.problems import KINDS
from rawnet_jax.serve.settings import Settings
from tests.conftest import REPO
from tests.docs_examples import DOCS, blocks, run_python, run_shell, typed
from tests.serve.running import RATE, noise, running, stub_service

PAGE = DOCS / "serve.md"


def test_the_page(tmp_path, capsys):
    soundfile.write(tmp_path / "call.wav", noise(9_000), RATE)
    with running(stub_service()) as server:
        page = tmp_path / "serve.md"
        page.write_text(PAGE.read_text().replace("http://127.0.0.1:8000", server.url))
        found = run_python(page, tmp_path)
        assert found["state"] == "done"
        [said, _] = capsys.readouterr().out.splitlines()
        assert said.split()[0] in ("bonafide", "spoof")
        if shutil.which("curl"):
            [[one]] = [typed(block) for block in blocks(page, "console")]
            answer = json.loads(run_shell(one.command, tmp_path).stdout)
            shown = re.findall(r'"(\w+)":', one.output)
            assert list(answer)[: len(shown)] == shown


def test_the_page_names_every_problem_and_the_limits():
    text = PAGE.read_text()
    rows = text[text.index("## Problems") : text.index("## What decodes")]
    for name, kind in KINDS.items():
        if name != "http-error":
            assert f"`{name}`" in rows
            assert str(kind.status) in rows
    limits = Settings()
    for shown in (
        f"{limits.max_body_bytes >> 20} MiB",
        f"{limits.max_audio_s:g} s of an analyst, {limits.max_audio_gate_s:g} s of a gate",
        f"{limits.min_rate_hz // 1000} to {limits.max_rate_hz // 1000} kHz, at most "
        f"{limits.max_channels}",
        f"{limits.body_s:g} s, and {limits.min_body_rate >> 10} KiB a second after "
        f"{limits.grace_s:g} s",
        f"{limits.queue}, of one key {limits.queue_per_key}",
        f"{limits.decode_s:g} s, {limits.decode_cpu_s} s of CPU time",
    ):
        assert shown in text


def parsed(words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_the_unit_and_the_image_start_the_service_with_flags_that_there_are():
    unit = (REPO / "deploy" / "rawnet-jax.service").read_text()
    [line] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    words = shlex.split(line)
    assert words[1] == "serve"
    assert parsed(words[2:]).metrics_port == 8001
    assert "SuccessExitStatus=143" in unit
    image = (REPO / "deploy" / "Dockerfile").read_text()
    parts = [json.loads(one) for one in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.+\])$", image, re.M)]
    entry, more = parts
    found = parsed([*entry[2:], *more])
    assert (found.host, found.behind_proxy) == ("0.0.0.0", True)
    for name in re.findall(r"^COPY ([^-].*) \S+$", image, re.MULTILINE):
        for path in name.split():
            assert (REPO / path).exists()
    assert "USER rawnet" in image


@pytest.mark.parametrize("page", ["README.md", "docs/serve.md"])
def test_no_conformance_is_claimed(page):
    text = " ".join((REPO / page).read_text().split())
    for word in re.findall(r"[^.]*\bconform\w*[^.]*", text):
        assert "Nothing here conforms" in word
