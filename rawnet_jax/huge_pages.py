"""Large memory pages for what XLA allocates on a CPU; settled before the process really starts.

XLA allocates its temporary arrays at each call. Large ones come from the system and go back to
it, so that every step touches hundreds of megabytes of new pages of 4 kB, one fault each. With
pages of 2 MB that is a matter of microseconds; docs/results.md has what it gains. glibc can ask for
them from version 2.35 on, but only if the environment says so when the process starts.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"
SWITCH = "RAWNET_JAX_HUGE_PAGES"
"""Environment variable: 0 = leave the process as it is."""

_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a process gets large pages where it asks for them."""
    others = [word for word in environment.get(TUNABLES, "").split(":") if word]
    return {**environment, TUNABLES: ":".join([*others, HUGE_PAGES])}


def restart_with_huge_pages(environment: MutableMapping[str, str] = os.environ) -> None:
    """Start this program again in the same process, with large pages; return if there is no need.

    There is none if they are in use or switched off, if the system grants none, or if a tunable of
    this kind is set already.
    """
    if environment.get(SWITCH) == "0" or "glibc.malloc.hugetlb" in environment.get(TUNABLES, ""):
        return
    try:
        granted = "[madvise]" in _POLICY.read_text()
    except OSError:  # not Linux
        return
    if not granted:  # "always" needs no asking, "never" grants nothing
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], with_huge_pages(environment))
