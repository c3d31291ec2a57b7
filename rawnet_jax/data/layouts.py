"""The table of corpora: where each keeps its lists and its audio, and how much it holds.

One row of `CORPORA` per corpus. Places are tried in order, below the folder given as root and below
the folders that the archives unpack into, so that a root may be the corpus or its parent.
"""

from collections.abc import Mapping

from rawnet_jax.data.layout import CorpusLayout, PartitionLayout
from rawnet_jax.data.layouts_asvspoof import ASVSPOOF
from rawnet_jax.data.layouts_folders import OF_FOLDERS
from rawnet_jax.data.layouts_lists import OF_LISTS
from rawnet_jax.data.manifests import PARTITIONS, parse_folders, parse_in_the_wild, parse_manifest

_IN_THE_WILD = CorpusLayout(
    parse_in_the_wild,
    {"eval": PartitionLayout(("meta.csv",), num_trials=(19_963, 11_816))},
    prefixes=("", "release_in_the_wild"),
    audio_from="list",
    form="a header with file, speaker and label",
)

_MANIFEST = CorpusLayout(
    parse_manifest,
    {
        name: PartitionLayout((f"{name}.csv", f"{name}.tsv", "manifest.csv", "manifest.tsv"))
        for name in PARTITIONS
    },
    audio_from="root",
    official=False,
    form="a header with path and label",
)

_FOLDERS = CorpusLayout(
    parse_folders,
    {name: PartitionLayout((name,)) for name in PARTITIONS},
    audio_from="tree",
    official=False,
    form="folders named like keys",
)

CORPORA: Mapping[str, CorpusLayout] = {
    **ASVSPOOF,
    "in_the_wild": _IN_THE_WILD,
    **OF_LISTS,
    **OF_FOLDERS,
    "manifest": _MANIFEST,
    "folders": _FOLDERS,
}
"""Every corpus that a config may name."""
