"""Object storage: the same results whatever the server does, and nothing secret in a message."""

import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import DataConfig
from rawnet_jax.data.fetch import fetched
from rawnet_jax.data.partitions import load_listed_cache
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.scale.listing import list_sources
from rawnet_jax.storage.rows import Row, write_manifest
from rawnet_jax.storage.stores import ObjectStore, open_store, store_of_host, uri_without_secrets
from tests.conftest import REPO
from tests.scale.fake_worker import run
from tests.scale.faulty_proxy import FaultyProxy

pytest.importorskip("obstore", reason="extra scale is not installed")
pytest.importorskip("moto", reason="moto is not installed")
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1234"


@pytest.fixture(scope="module")
def s3():
    """Port of an S3 server on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_s = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/calls", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until_s
                assert server.poll() is None
                time.sleep(0.2)
        yield port
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def proxy(s3, monkeypatch):
    with FaultyProxy(s3) as server:
        for name, value in (
            ("AWS_ENDPOINT_URL", server.url),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
            ("PYTHONPATH", str(REPO)),
        ):
            monkeypatch.setenv(name, value)
        store_of_host.cache_clear()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(8):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(900), 16_000)
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for number in range(4):
            tar.add(folder / f"{number}.wav", f"in/{number}.wav")
    return folder


def by_name(lines, place):
    records = [json.loads(line) for line in lines]
    found = {record["path"].removeprefix(place): record["score"] for record in records}
    assert len(found) == len(records)
    return found


def test_the_same_results_through_a_server_that_fails(proxy, clips, tmp_path, capfd):
    store = open_store("s3://calls/in")
    for path in clips.iterdir():
        store.replace(path.name, path.read_bytes())
    proxy.every = 3
    remote, here = tmp_path / "s3.jsonl", tmp_path / "here.jsonl"
    assert write_manifest(remote, list_sources(["s3://calls/in/"]))[0] == 12
    assert run(remote, "s3://calls/out", shard_files=5, workers=1) == 0
    spoiled = dict(proxy.faults)
    assert min(spoiled.values()) >= 2
    proxy.every = 0
    write_manifest(here, list_sources([str(clips)]))
    assert run(here, tmp_path / "out", workers=1) == 0
    out = open_store("s3://calls/out")
    names = [one.path for one in out.list()]
    assert {"job.json", "summary.html", "part-00000.jsonl"} < set(names)
    assert not [name for name in names if name.startswith("errors/")]
    parts = [out.read(name) for name in names if name.startswith("part-")]
    local = [path.read_text() for path in (tmp_path / "out").glob("part-*")]
    found = by_name(b"".join(parts).decode().splitlines(), "s3://calls/in/")
    assert found == by_name("".join(local).splitlines(), f"{clips}/")
    assert run(remote, "s3://calls/out", shard_files=5, workers=1) == 0
    said = capfd.readouterr()
    everything = said.out + said.err + b"".join(out.read(n) for n in names).decode()
    assert SECRET not in everything


def test_a_listing_goes_on_where_it_was_cut(proxy):
    store = open_store("s3://calls/many")
    for number in range(5):
        store.replace(f"a/{number}", b"x")
    store.replace("b", b"x")
    proxy.every = 2
    for _ in range(8):
        assert [one.path for one in store.list("a/")] == [f"a/{number}" for number in range(5)]
    assert proxy.faults["cut"]


def test_a_record_is_written_once(proxy):
    store = open_store("s3://calls/once")
    assert store.create("done/a.json", b"1")
    assert not store.create("done/a.json", b"2")
    assert store.read("done/a.json") == b"1"


def test_a_recording_that_changed_or_is_gone(proxy):
    store = open_store("s3://calls/changing")
    store.replace("a.wav", b"first")
    row = next(list_sources(["s3://calls/changing/a.wav"]))
    assert fetched(row) == b"first"
    store.replace("a.wav", b"other")
    with pytest.raises(DataError, match="changed since the manifest was written"):
        fetched(row)
    with pytest.raises(DataError, match=r"none.wav: there is no such object"):
        fetched(Row("s3://calls/changing/none.wav", 3, ""))


def test_an_address_without_a_server_is_one_line(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(DataError, match=r"^s3://calls/x/a: cannot be read: ") as error:
        ObjectStore("s3://calls/x", retries=0).read("a")
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)


def test_what_is_no_uri():
    with pytest.raises(ConfigError, match="ftp://x/y: must begin with s3"):
        open_store("ftp://user:word@x/y")
    with pytest.raises(ConfigError, match="without a query"):
        list(list_sources(["https://example.org/a.wav?token=abc"]))
    assert uri_without_secrets("https://me:word@x.org/a?sig=b") == "https://x.org/a"


def test_training_clips_come_from_tar_files_of_a_server_that_fails(proxy, clips, tmp_path):
    """The audio cache is that of the same recordings on a disk."""
    open_store("s3://calls").replace("shards/shard.tar", (clips / "shard.tar").read_bytes())
    lines = [f"in/{n}.wav,{('spoof', 'bonafide')[n % 2]},train" for n in range(4)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,partition", *lines]))
    found = []
    for name, source in (("s3", "s3://calls/shards/"), ("here", str(clips / "shard.tar"))):
        recordings = tmp_path / f"{name}.jsonl"
        write_manifest(recordings, list_sources([source]))
        config = DataConfig(
            corpus="manifest",
            root=str(tmp_path),
            recordings=str(recordings),
            cache_dir=str(tmp_path / name),
        )
        proxy.every = 2
        cache = load_listed_cache(config, "train", progress=False)
        found.append([cache.waveform(number).tolist() for number in range(len(cache))])
    assert sum(proxy.faults.values()) >= 2
    assert found[0] == found[1]
    assert len(found[0]) == 4
