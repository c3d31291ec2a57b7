"""The command `web`: the folder that it writes, and the server."""

import http.client
import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.data.score_file import ScoreTable, write_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.presets.catalog import list_presets
from rawnet_jax.scoring.enrolled import EnrolledVoice, save_voices
from rawnet_jax.web import site
from rawnet_jax.web.server import HEADERS, make_server
from tests.docs_examples import DOCS, blocks, run_console
from tests.small_run import write_run


@pytest.fixture
def built(tmp_path, monkeypatch):
    """What stands for the built page."""
    folder = tmp_path / "built"
    (folder / "ort").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "ort" / "a.wasm.gz").write_bytes(b"packed")
    # First where it is imported: an import under the other patch would keep what it found.
    monkeypatch.setattr("rawnet_jax.jobs.web.built_folder", lambda: folder)
    monkeypatch.setattr(site, "built_folder", lambda: folder)
    return folder


@pytest.fixture
def answers(tmp_path, built):
    """Asks a server of the folder."""
    site.copy_page(tmp_path / "site")
    server = make_server(tmp_path / "site", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def ask(path, host="localhost"):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    yield ask
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_becomes_a_folder(tmp_path, built, capsys):
    write_run(tmp_path / "run")
    keys = np.array([1, 1, 0, 0], np.int8)
    table = ScoreTable(["a", "b", "c", "d"], np.array([2.0, 0.5, 1.0, -1.0]), keys)
    write_scores(tmp_path / "scores.txt", table)
    words = [f"--workdir={tmp_path / 'run'}", f"--scores={tmp_path / 'scores.txt'}"]
    assert main(["web", *words, f"--export={tmp_path / 'page'}"]) == 0
    names = {str(p.relative_to(tmp_path / "page")) for p in (tmp_path / "page").rglob("*.*")}
    assert names == {"index.html", "ort/a.wasm.gz", "model.onnx", "page.json"}
    said = json.loads((tmp_path / "page" / "page.json").read_text())
    assert "no model card" in said["card"]
    points = {p["threshold"]: (p["miss"], p["false_alarm"]) for p in said["measured"]["points"]}
    assert points == {-1.0: (0, 1), 0.5: (0, 0.5), 1.0: (0.5, 0.5), 2.0: (0.5, 0)}
    assert ".tmp" not in capsys.readouterr().out
    assert main(["web", *words, f"--export={tmp_path / 'page'}"]) == 2
    assert "must be a new folder" in capsys.readouterr().err


def test_a_server_scores_in_place_of_the_page(tmp_path, built):
    (built / "index.html").write_text(f'<meta content="{HEADERS["Content-Security-Policy"]}">')
    server = "https://scores.example:8443/"
    words = ["--workdir=general_1", f"--server={server}", f"--export={tmp_path / 'page'}"]
    assert main(["web", *words]) == 0
    names = {str(p.relative_to(tmp_path / "page")) for p in (tmp_path / "page").rglob("*.*")}
    assert names == {"index.html", "page.json"}
    assert json.loads((tmp_path / "page" / "page.json").read_text())["server"] == server[:-1]
    policy = (tmp_path / "page" / "index.html").read_text()
    assert re.findall(r"https?:[^; ]*", policy) == [server[:-1]]
    assert f"connect-src 'self' {server[:-1]};" in policy


def test_a_person_is_named_where_one_is_enrolled(tmp_path, built, capsys):
    write_run(tmp_path / "run")
    voice = EnrolledVoice("ana", 12, -1.5, 0.625)
    save_voices(tmp_path / "run", {"ana": voice})
    words = ["web", f"--workdir={tmp_path / 'run'}", f"--export={tmp_path / 'page'}"]
    assert main([*words, "--speaker=ben"]) == 2
    assert "--speaker ben: is not enrolled" in capsys.readouterr().err
    assert main([*words, "--speaker=ana", "--server=https://a.example"]) == 2
    assert "not for --server" in capsys.readouterr().err
    assert main([*words, "--speaker=ana"]) == 0
    said = json.loads((tmp_path / "page" / "page.json").read_text())
    assert said["voice"] == {"name": "ana", "num_clips": 12, "mean": -1.5, "shift": 0.625}


def test_the_header_allows_that_server_alone(tmp_path):
    (tmp_path / "index.html").write_text("page")
    server = make_server(tmp_path, 0, "https://scores.example")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
        connection.request("GET", "/", headers={"Host": "localhost"})
        policy = connection.getresponse().headers["Content-Security-Policy"]
        connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found = policy.replace(" https://scores.example", "")
    assert found == HEADERS["Content-Security-Policy"]
    assert "connect-src 'self' https://scores.example;" in policy


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Scores.Example:443/", "https://scores.example"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_origin_is_written_as_browsers_do(url, origin):
    assert site.server_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        *("http://scores.example", "scores.example", "ftp://x", "https://", "https://a/path"),
        *("https://a; script-src *", "https://a b", "https://*", "https://u:p@a", "https://a:x"),
    ],
)
def test_other_addresses_of_a_server_are_one_line(url):
    with pytest.raises(ConfigError, match=r"--server .*: must be https://HOST"):
        site.server_origin(url)


def test_without_the_built_page_there_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(site, "resources", SimpleNamespace(files=lambda _: tmp_path))
    assert main(["web", "--workdir=general_1", "--export", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert "`make web` builds it" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "page").exists()


def test_nothing_is_left_of_a_page_whose_model_cannot_be_exported(tmp_path, built, capsys):
    assert main(["web", f"--workdir={tmp_path / 'no'}", f"--export={tmp_path / 'page'}"]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["built"]


def test_every_answer_has_the_headers(answers):
    for path, status in (("/", 200), ("/ort/a.wasm.gz", 200), ("/no", 404), ("/ort/", 404)):
        response, _ = answers(path)
        assert response.status == status
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert answers("/ort/a.wasm.gz")[0].headers["Content-Type"] == "application/gzip"
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert re.findall(r"'unsafe-eval'|https?:|\*", policy) == []


def test_nothing_outside_the_folder_is_served(answers, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt"):
        response, content = answers(path)
        assert (response.status, b"secret" in content) == (404, False)


def test_another_name_is_refused(answers):
    assert answers("/", host="attacker.example")[0].status == 421
    assert answers("/", host="127.0.0.1:80")[0].status == 200


def test_a_port_in_use_is_one_line(tmp_path):
    server = make_server(tmp_path, 0)
    with pytest.raises(ConfigError, match="--port 0 takes one that is free"):
        make_server(tmp_path, server.server_address[1])
    server.server_close()


def test_rates_need_both_classes():
    with pytest.raises(DataError, match="bona fide and spoof trials"):
        site.rates_of(np.zeros(3), np.zeros(0), "x")


def test_known_rates_are_those_of_the_card():
    cards = {preset.name: preset.card for preset in list_presets()}
    text = " ".join(cards["general_1"].split())
    known = site.known_rates("general_1")
    assert known is not None
    own, equal = known.points
    assert f"{100 * own.miss:.1f} % of the genuine speech is rejected" in text
    assert f"{100 * own.false_alarm:.0f} % of the fakes are accepted" in text
    assert f"score {equal.threshold} is where both errors are {100 * equal.miss:.1f} %" in text
    assert site.known_rates("no such preset") is None


def test_the_page_of_the_docs(tmp_path, built):
    write_run(tmp_path / "runs" / "x")
    soundfile.write(tmp_path / "talk.wav", np.zeros(1000), 16_000)
    [block] = blocks(DOCS / "web.md", "console")
    [(typed, done)] = run_console(block, tmp_path)
    assert typed.output in done.stdout


def test_the_policy_of_the_page_is_that_of_the_server():
    index = Path(__file__).parents[2] / "web" / "index.html"
    [said] = re.findall(r'content="(default-src[^"]*)"', index.read_text(encoding="utf-8"))
    served = HEADERS["Content-Security-Policy"]
    # Browsers take no notice of the last one in a page.
    assert said == served.removesuffix("; frame-ancestors 'none'")
