"""A command starts again once with large pages, where the system grants them, and never twice."""

import sys

import pytest

from rawnet_jax import huge_pages
from rawnet_jax.huge_pages import restart_with_huge_pages, with_huge_pages


class Restarted(Exception):
    pass


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Let the system grant pages, and note what would be started."""
    policy = tmp_path / "enabled"
    policy.write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "_POLICY", policy)
    found = []

    def execve(*call):
        found.append(call)
        raise Restarted

    monkeypatch.setattr("os.execve", execve)
    return policy, found


def test_same_command_other_environment(started):
    with pytest.raises(Restarted):
        restart_with_huge_pages({"A": "b"})
    [(program, arguments, environment)] = started[1]
    assert program == sys.executable
    assert arguments[1:] == sys.orig_argv[1:]
    assert environment == {"A": "b", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    restart_with_huge_pages(environment)  # as the new process does
    assert len(started[1]) == 1


def test_other_tunables_stay():
    found = with_huge_pages({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"})
    assert found == {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"}


@pytest.mark.parametrize(
    "environment",
    [{"RAWNET_JAX_HUGE_PAGES": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}],
)
def test_users_choice_is_kept(started, environment):
    restart_with_huge_pages(environment)
    assert not started[1]


@pytest.mark.parametrize("policy", ["[always] madvise never", "always madvise [never]", None])
def test_left_alone_where_there_is_nothing_to_gain(started, policy):
    if policy is None:
        started[0].unlink()
    else:
        started[0].write_text(policy)
    restart_with_huge_pages({})
    assert not started[1]
