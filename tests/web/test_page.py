"""The page in Debian's Chromium, driven as a user would.

Needs the built page (`make web`), chromium, and playwright, which is in no extra: its browsers are
large, and the one of the system will do.
"""

import contextlib
import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from tests.spoken import noise, spoken
from tests.web.browser import ARGUMENTS, AXE, BUILT, CHROMIUM, served
from tests.web.knowing import VOICE, write_knowing

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not BUILT.is_file(), reason="make web was not run"),
]

RATE = 16_000
DONE = "#result:not([hidden])"
PAGE_BYTES = 4_000_000
TO_THE_RIGHT = "(slider) => { slider.value = slider.max; slider.dispatchEvent(new Event('input')) }"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page as `web --export` writes it, and recordings."""
    folder = tmp_path_factory.mktemp("web")
    assert main(["web", "--workdir=general_1", f"--export={folder / 'site'}"]) == 0
    speech = spoken(6.0)
    soundfile.write(folder / "talk.wav", speech, RATE)
    soundfile.write(folder / "talk.mp3", speech, RATE)
    soundfile.write(folder / "talk.flac", speech, RATE)
    parts = [noise(20.0, 0.1), *([speech] * 4), np.zeros(10 * RATE, np.float32)]
    soundfile.write(folder / "long.wav", np.concatenate(parts), RATE)
    (folder / "text.wav").write_text("no audio")
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(site):
    with served(site / "site") as address:
        yield address


@pytest.fixture
def page(browser, address):
    """An open page with its model; every request must go to its own origin, nothing may be said
    in the console: a breach of the content security policy would be."""
    context = browser.new_context()
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    open_page(page, address)
    yield page
    context.close()
    # That none went elsewhere says something only where those of the worker are seen, too.
    assert f"{address}model.onnx" in requests
    assert [url for url in requests if not url.startswith((address, f"blob:{address}"))] == []
    assert complaints == []


def open_page(page, address):
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=60_000)


def drop(page, path):
    """Let a file fall on the page, as a hand does."""
    data = page.evaluate_handle(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], name));
          return data;
        }""",
        [path.name, list(path.read_bytes())],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def choose(page, path):
    page.set_input_files("#file", str(path))
    page.wait_for_selector(DONE, timeout=60_000)


def until(page, expression):
    """Wait for a condition; playwright's own way evaluates text, which the policy forbids."""
    for _ in range(300):
        is_true = page.evaluate(expression)
        if is_true:
            break
        page.wait_for_timeout(100)
    assert is_true, expression


def record(page):
    page.click("#record")
    until(page, "document.getElementById('record').textContent.includes('2 s')")
    assert page.inner_text("#status").startswith("Recording")
    page.click("#record")


def downloaded(page, button):
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path())


def scored_by_command(path, capsys, *words, workdir="general_1"):
    capsys.readouterr()
    how = ("--no-progress", "--format=jsonl", "--windows")
    main(["score", f"--workdir={workdir}", *how, *words, str(path)])
    return json.loads(capsys.readouterr().out)


def test_a_dropped_wav_gets_the_record_of_the_command(page, site, capsys):
    drop(page, site / "talk.wav")
    page.wait_for_selector(DONE, timeout=60_000)
    found = json.loads(downloaded(page, "#json").read_text(encoding="utf-8"))
    wanted = scored_by_command(site / "talk.wav", capsys)
    names = ("score", "llr", "p_spoof", "duration_s", "scored_s", "scored_from_s")
    assert {n: found[n] for n in names} == pytest.approx({n: wanted[n] for n in names}, abs=1e-4)
    for name in ("verdict", "prior", "num_windows", "reason", "spoof_s"):
        assert found[name] == wanted[name]
    assert found["windows"][0].keys() == wanted["windows"][0].keys()
    assert len(found["windows"]) == len(wanted["windows"])
    assert "vidence of" in page.inner_text("#verdict")
    # What a screen reader says, of a region that is live.
    assert page.inner_text("#status") == f"Done. {page.inner_text('#verdict')}"
    lines = downloaded(page, "#csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(found["windows"])
    assert downloaded(page, "#png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["talk.mp3", "talk.flac"])
def test_other_files_are_decoded_by_the_browser(page, site, name, capsys):
    drop(page, site / name)
    page.wait_for_selector(DONE, timeout=60_000)
    found = json.loads(downloaded(page, "#json").read_text(encoding="utf-8"))
    wanted = scored_by_command(site / name, capsys)
    # Decoders of MP3 differ in rounding, and in how much they leave at both ends.
    tolerance = 1e-4 if name == "talk.flac" else 0.05
    assert found["duration_s"] == pytest.approx(wanted["duration_s"], abs=0.1)
    assert found["llr"] == pytest.approx(wanted["llr"], abs=tolerance)


def test_a_long_file_shows_time_line_and_spans(page, site):
    choose(page, site / "long.wav")
    page.eval_on_selector("#threshold", TO_THE_RIGHT)
    spans = page.locator("#spans button")
    assert spans.count() >= 1
    label = page.get_attribute("#picture", "aria-label")
    assert "windows" in label
    assert "called synthetic" in label
    verdicts = page.locator("#windows tr td:nth-child(3)").all_text_contents()
    assert {"spoof", "cannot judge"} <= set(verdicts)
    spans.first.focus()
    page.keyboard.press("Enter")
    until(page, "!document.getElementById('player').paused")
    assert page.evaluate("document.getElementById('player').currentTime") >= 10


def test_sliders_move_what_they_say(page, site):
    choose(page, site / "talk.wav")
    before = page.inner_text("#p-spoof")
    page.focus("#prior")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#prior-value") == "40 %"
    assert page.inner_text("#p-spoof") != before
    assert "84 %" in page.inner_text("#rates")
    page.focus("#threshold")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert "not here" in page.inner_text("#rates")
    page.click("#own-threshold")
    assert "84 %" in page.inner_text("#rates")


def test_the_microphone_is_recorded_and_judged(page):
    for _ in range(2):
        record(page)
        page.wait_for_selector(DONE, timeout=60_000)
        assert page.inner_text("#file-name").startswith("Recording, ")
        assert page.inner_text("#verdict")


@pytest.fixture
def changed_page(browser, address):
    """Opens the page where the browser's own functions were changed first."""
    contexts = []

    def open_changed(script):
        contexts.append(browser.new_context())
        contexts[-1].add_init_script(script)
        page = contexts[-1].new_page()
        open_page(page, address)
        return page

    yield open_changed
    for context in contexts:
        context.close()


def test_what_the_browser_leaves_on_is_said(changed_page):
    page = changed_page(
        """
        MediaStreamTrack.prototype.getSettings = () => (
          { echoCancellation: false, noiseSuppression: true, autoGainControl: true }
        );
        const ask = navigator.mediaDevices.getUserMedia;
        navigator.mediaDevices.getUserMedia = function (wanted) {
          window.wanted = wanted;
          return ask.call(this, wanted);
        };
        """
    )
    page.click("#record")
    until(page, "document.getElementById('status').textContent.startsWith('Recording.')")
    said = page.inner_text("#status")
    assert "left on: noise suppression, automatic gain." in said
    off = dict.fromkeys(("echoCancellation", "noiseSuppression", "autoGainControl"), False)
    assert page.evaluate("window.wanted") == {"audio": {"channelCount": 1, **off}}


def test_a_microphone_that_is_not_allowed_is_one_sentence(changed_page):
    page = changed_page(
        """
        navigator.mediaDevices.getUserMedia =
          () => Promise.reject(new DOMException("no", "NotAllowedError"));
        """
    )
    page.click("#record")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error") == "The microphone was not allowed."


def test_half_an_hour_is_taken_and_no_more(page, tmp_path):
    waveform = np.zeros(1800 * RATE, np.float32)
    waveform[1790 * RATE :] = np.resize(spoken(6.0), 10 * RATE)
    soundfile.write(tmp_path / "half_an_hour.wav", waveform, RATE)
    choose(page, tmp_path / "half_an_hour.wav")
    assert page.inner_text("#file-name") == "half_an_hour.wav, 1800.0 s"
    verdicts = page.locator("#windows tr td:nth-child(3)").all_text_contents()
    assert len(verdicts) > 1000
    assert verdicts[0] == "cannot judge"
    assert verdicts[-1] in ("bonafide", "spoof")
    soundfile.write(tmp_path / "more.wav", np.zeros(1861 * 8000, np.int16), 8000)
    page.set_input_files("#file", str(tmp_path / "more.wav"))
    page.wait_for_selector("#error:not([hidden])", timeout=60_000)
    assert "is 31 minutes long; at most 30" in page.inner_text("#error")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(201_000_000)
    page.set_input_files("#file", str(tmp_path / "large.wav"))
    until(page, "document.getElementById('error').textContent.includes('201 MB')")
    assert page.is_hidden("#result")


def test_sources_and_a_person_are_those_of_the_command(browser, site, tmp_path, capsys):
    write_knowing(tmp_path / "knowing")
    words = [f"--workdir={tmp_path / 'knowing'}", f"--speaker={VOICE.name}"]
    assert main(["web", *words, f"--export={tmp_path / 'site'}"]) == 0
    context = browser.new_context()
    with served(tmp_path / "site") as address:
        page = context.new_page()
        open_page(page, address)
        assert f"taken to be of {VOICE.name}" in page.inner_text("#claim")
        choose(page, site / "talk.wav")
        page.eval_on_selector("#threshold", TO_THE_RIGHT)
        found = json.loads(downloaded(page, "#json").read_text(encoding="utf-8"))
        threshold = f"--threshold={found['threshold']}"
        path, speaker = site / "talk.wav", f"--speaker={VOICE.name}"
        folder = tmp_path / "knowing"
        wanted = scored_by_command(path, capsys, threshold, speaker, workdir=folder)
        assert wanted["source"] == "clean"
        assert {n: found[n] for n in ("verdict", "source", "notes")} == {
            n: wanted[n] for n in ("verdict", "source", "notes")
        }
        assert found["llr"] == pytest.approx(wanted["llr"], abs=1e-4)
        assert page.inner_text("#source").startswith("Source: clean")
        assert wanted["notes"][0] in page.inner_text("#explained")
    context.close()


def test_what_cannot_be_judged_says_why(page, site):
    page.click("[data-sample=silence]")
    page.wait_for_selector(DONE, timeout=60_000)
    assert page.inner_text("#verdict") == "Cannot judge: digital silence."
    page.click("[data-sample=noise]")
    until(page, "document.getElementById('verdict').textContent.includes('speech')")
    page.set_input_files("#file", str(site / "text.wav"))
    page.wait_for_selector("#error:not([hidden])")
    assert "no audio file" in page.inner_text("#error")
    assert page.is_hidden("#result")


def test_the_keyboard_alone_is_enough(page):
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.sample") == "vowels":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(DONE, timeout=60_000)
    assert page.evaluate("document.activeElement.id") == "verdict"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"prior", "view", "player", "threshold", "json", "csv", "png"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(not AXE.is_file(), reason="make web was not run here")
def test_axe_finds_nothing(browser, address, site, scheme):
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    open_page(page, address)
    choose(page, site / "long.wav")
    page.click("summary")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10
    context.close()


def test_nothing_is_wider_than_a_phone(browser, address, site):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    open_page(page, address)
    choose(page, site / "long.wav")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


class Plain(http.server.SimpleHTTPRequestHandler):
    """A file server that knows nothing of the page; counts what it sends."""

    sent: list[str]

    def log_message(self, format, *args):
        self.sent.append(self.path)


@contextlib.contextmanager
def plain_server(folder):
    """Serve a folder by what knows nothing of the page; yields address and what was sent."""
    Plain.sent = []
    handler = functools.partial(Plain, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", Plain.sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_plain_file_server_will_do_and_then_none(browser, site):
    context = browser.new_context()
    page = context.new_page()
    with plain_server(site / "site") as (address, sent):
        open_page(page, address)
        loaded = len(sent)
    context.set_offline(True)
    choose(page, site / "talk.wav")
    assert page.inner_text("#verdict")
    choose(page, site / "talk.mp3")
    record(page)
    page.wait_for_selector(DONE, timeout=60_000)
    assert page.inner_text("#file-name").startswith("Recording, ")
    context.close()
    assert len(sent) == loaded
    paths = {path.lstrip("/") or "index.html" for path in sent} - {"model.onnx"}
    size = sum((site / "site" / path).stat().st_size for path in paths)
    assert 3_000_000 < size < PAGE_BYTES


def test_nothing_of_the_page_names_another_host(site):
    found = subprocess.run(
        ["grep", "-rlaE", "https?://(cdn|unpkg|.*jsdelivr|.*google)", str(site / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
