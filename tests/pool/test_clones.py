"""Clones: where they are looked for, what they must have, and what is said of one that lacks it."""

import shutil

import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.pool.build import build
from rawnet_jax.pool.clones import find_clone, list_blobs
from rawnet_jax.pool.plan import make_plan
from tests.pool.small_clones import (
    FAKE,
    REAL,
    commit,
    git,
    needs_git,
    recordings,
    table_text,
    write_clones,
    write_table,
)

pytestmark = needs_git

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    root = tmp_path_factory.mktemp("clones")
    return root, write_clones(root)


def planned(table, folder, **settings):
    return make_plan(table, folder, **{"allow_missing": False, **settings})


def test_clones_are_found_by_three_names_with_and_without_work_tree(clones, tmp_path):
    root, commits = clones
    table = write_table(tmp_path / "t.toml", commits)
    source = table.source[0]
    assert find_clone(root, source) == (root / "ann+real-speech/.git").resolve()
    for place in ("ann+real-speech", "ann/real-speech", "real-speech", "real-speech.git"):
        folder = tmp_path / place.replace("/", "_") / "in"
        (folder / place).parent.mkdir(parents=True)
        git(tmp_path, "clone", "-q", "--bare", str(root / "ann+real-speech"), str(folder / place))
        assert find_clone(folder, source) == (folder / place).resolve()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/ann+real-speech").symlink_to(root / "ann+real-speech/.git")
    assert find_clone(tmp_path / "linked", source) == (root / "ann+real-speech/.git").resolve()
    assert find_clone(tmp_path, source) is None


def test_a_missing_clone_is_named_with_the_line_that_gets_it(clones, tmp_path):
    root, commits = clones
    text = table_text(commits).replace('licence = "MIT"\n', 'branch = "pages"\nlicence = "MIT"\n')
    (tmp_path / "t.toml").write_text(text)
    shutil.copytree(root / "ann+real-speech", tmp_path / "clones/real-speech")
    from rawnet_jax.pool.table import read_table

    table = read_table(tmp_path / "t.toml")
    line = (
        f"git clone --bare --branch pages https://github.com/{FAKE} {tmp_path}/clones/bob\\+fakes"
    )
    with pytest.raises(DataError, match=rf"1 of 2 clones are missing.*{line}"):
        planned(table, tmp_path / "clones")
    plan = planned(table, tmp_path / "clones", allow_missing=True)
    assert [source.repository for source in plan.missing] == [FAKE]
    assert {each.repository for each in plan.recordings} == {REAL}
    build(plan, tmp_path / "pool", num_workers=1, progress=False)
    assert f"{FAKE}: no clone" in (tmp_path / "pool/corpus.json").read_text()
    assert f"{FAKE}: no clone" in (tmp_path / "pool/README.md").read_text()


def test_a_clone_without_the_commit_is_named_with_the_line_that_gets_it(clones, tmp_path):
    root, commits = clones
    table = write_table(tmp_path / "t.toml", {**commits, FAKE: "0123456789" * 4})
    for allow_missing in (False, True):
        with pytest.raises(DataError, match=f"has no commit 0123.*of {FAKE}.*fetch https://"):
            planned(table, root, allow_missing=allow_missing)


def test_the_commit_of_the_table_is_read_whatever_came_later(tmp_path):
    first = commit(tmp_path / "clones/real-speech", recordings())
    commit(tmp_path / "clones/real-speech", {"train/s00_7.wav": b"later", "train/s00_0.wav": b"x"})
    table = write_table(tmp_path / "t.toml", {REAL: first})
    paths = {path for each in planned(table, tmp_path / "clones").recordings for path in each.paths}
    assert len(paths) == 20
    assert "train/s00_7.wav" not in paths


def test_pointers_of_lfs_and_missing_files_are_noticed(tmp_path):
    files = recordings()
    files |= {f"train/s00_{number}.wav": POINTER % number for number in range(2)}
    digest = commit(tmp_path / "clones/real-speech", files)
    table = write_table(tmp_path / "t.toml", {REAL: digest})
    with pytest.raises(
        DataError, match=r"18 files; the table has 20; 2 are Git LFS pointers.*_0\.wav"
    ):
        planned(table, tmp_path / "clones")
    assert len(planned(table, tmp_path / "clones", allow_missing=True).recordings) == 18
    # Take the content of one file out of the clone.
    git_dir = tmp_path / "clones/real-speech/.git"
    (blob,) = [each for each in list_blobs(git_dir, digest) if each.path == "test/s41_1.wav"]
    (git_dir / "objects" / blob.digest[:2] / blob.digest[2:]).unlink()
    with pytest.raises(DataError, match=r"17 files.*1 are not in the clone.*test/s41_1\.wav"):
        planned(table, tmp_path / "clones")


def test_files_that_are_too_large_are_left_out_of_every_pool(tmp_path):
    files = recordings()
    files["train/s00_0.wav"] = b"RIFF" + bytes(400_000)
    digest = commit(tmp_path / "clones/real-speech", files)
    table = write_table(tmp_path / "t.toml", {REAL: digest}, files={REAL: 19})
    plan = planned(table, tmp_path / "clones")
    assert plan.sources[0].left_out["400000 bytes or more"] == 1
    git_dir = tmp_path / "clones/real-speech/.git"
    (blob,) = [each for each in list_blobs(git_dir, digest) if each.path == "train/s00_0.wav"]
    (git_dir / "objects" / blob.digest[:2] / blob.digest[2:]).unlink()
    assert planned(table, tmp_path / "clones").digest == plan.digest  # a clone without them


def test_a_source_without_its_licence_file_is_refused(tmp_path):
    files = {name: content for name, content in recordings().items() if name != "LICENSE"}
    digest = commit(tmp_path / "clones/real-speech", files)
    table = write_table(tmp_path / "t.toml", {REAL: digest})
    with pytest.raises(DataError, match="no LICENSE at commit"):
        planned(table, tmp_path / "clones", allow_missing=True)


def test_no_speaker_has_more_than_a_share_and_copies_are_taken_once(tmp_path):
    files = recordings(per_speaker=9)
    files["fold1/s19_0.wav"] = files["train/s00_0.wav"]
    digest = commit(tmp_path / "clones/real-speech", files)
    table = write_table(tmp_path / "t.toml", {REAL: digest}, files={REAL: 91})
    plan = planned(table, tmp_path / "clones")
    pieces: dict[str, int] = {}
    for each in plan.recordings:
        pieces[each.speaker] = pieces.get(each.speaker, 0) + each.pieces
    assert pieces.pop("real_s19") == 2  # one file
    assert set(pieces.values()) == {6}
    assert plan.sources[0].left_out["the same recording as another file"] == 1


def test_a_folder_of_nothing_and_no_folder(tmp_path):
    table = write_table(tmp_path / "t.toml", {REAL: "a" * 40})
    with pytest.raises(DataError, match="is not a folder"):
        planned(table, tmp_path / "none")
    with pytest.raises(DataError, match="no recording to take"):
        planned(table, tmp_path, allow_missing=True)
