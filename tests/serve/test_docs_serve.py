"""docs/serve.md, typed as it stands there, and the files that start the service elsewhere."""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import soundfile

from rawnet_jax.cli import serve as command
from rawnet_jax.cli.main import main
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


def started_by_the_unit():
    unit = (REPO / "deploy" / "rawnet-jax.service").read_text()
    [line] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    return shlex.split(line)


def started_by_the_image():
    image = (REPO / "deploy" / "Dockerfile").read_text()
    entry, more = (
        json.loads(one) for one in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.+\])$", image, re.M)
    )
    return [*entry, *more]


@pytest.mark.parametrize("words", [started_by_the_unit(), started_by_the_image()])
def test_the_service_is_started_with_flags_that_there_are(words, capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    there_are = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert words[1] == "serve"
    flags = [word for word in words if word.startswith("--")]
    assert flags
    assert set(flags) <= set(there_are)


def test_the_unit_listens_to_its_machine_alone():
    found = parsed(started_by_the_unit()[2:])
    assert (found.host, found.metrics_port) == ("127.0.0.1", 8001)
    assert "SuccessExitStatus=143" in (REPO / "deploy" / "rawnet-jax.service").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path):
    unit = (REPO / "deploy" / "rawnet-jax.service").read_text()
    path = tmp_path / "rawnet-jax.service"
    path.write_text(unit.replace("/opt/rawnet/bin/rawnet-jax", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_is_open_to_keys_alone(tmp_path, capsys):
    found = parsed(started_by_the_image()[2:])
    assert (found.host, found.behind_proxy, found.keys) == ("0.0.0.0", False, "/keys/keys.json")
    keys = str(tmp_path / "keys.json")
    words = [keys if word == found.keys else word for word in started_by_the_image()[1:]]
    assert main([*words, "--workdir=general_1"]) == 2
    assert f"{keys}: cannot be read" in capsys.readouterr().err
    image = (REPO / "deploy" / "Dockerfile").read_text()
    for name in re.findall(r"^COPY ([^-].*) \S+$", image, re.MULTILINE):
        for path in name.split():
            assert (REPO / path).exists()
    assert "USER rawnet" in image


@pytest.mark.parametrize("page", ["README.md", "docs/serve.md"])
def test_no_conformance_is_claimed(page):
    text = " ".join((REPO / page).read_text().split())
    for word in re.findall(r"[^.]*\bconform\w*[^.]*", text):
        assert "Nothing here conforms" in word
