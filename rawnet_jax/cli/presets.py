"""``presets``: trained detectors that come with the package, and how to make one."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.errors import ConfigError

EPILOG = """\
Examples:

  python -m rawnet_jax presets
  python -m rawnet_jax presets NAME
  python -m rawnet_jax presets --make runs/x --output mine --summary 'Telephone speech' \\
      --licence 'CC BY 4.0' --card card.md --figure 'dev EER=4.2 %'
  python -m rawnet_jax score --workdir mine call.wav

A preset is a folder with config, weights, threshold, calibration and model card of a trained run,
far smaller than its checkpoints. Every command that takes --workdir takes the folder, or the name
of a preset that comes with the package. A preset is never written into: results on it go to
NAME_results in the current folder unless --output names another. Its files carry their SHA-256;
one that differs is an error.
"""

_MAKE_ONLY = {
    **dict.fromkeys(("output", "seed", "name", "card", "fairness")),
    **{"summary": "", "licence": "not stated", "figures": [], "trained_by": ""},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the presets, trained detectors that come with the package; print the model card of "
        "one; or make one of a run."
    )
    parser.epilog = EPILOG
    parser.add_argument("preset", nargs="?", metavar="NAME", help="print its model card")
    group = parser.add_argument_group("a preset of one's own")
    group.add_argument("--make", type=Path, metavar="WORKDIR", help="trained run to make it of")
    group.add_argument("--output", type=Path, metavar="FOLDER", help="folder to make; new")
    group.add_argument("--seed", metavar="N", help="for a run with several seeds: the one to use")
    group.add_argument("--name", metavar="TEXT", help="default: that of the folder")
    group.add_argument("--summary", default="", metavar="TEXT", help="one line: what it is for")
    group.add_argument(
        "--licence",
        default=_MAKE_ONLY["licence"],
        metavar="TEXT",
        help="of the weights (default: %(default)s)",
    )
    group.add_argument(
        "--card",
        type=Path,
        metavar="FILE.md",
        help="model card: data, licences, figures, where it fails, what it must not be used for",
    )
    group.add_argument(
        "--fairness",
        type=Path,
        metavar="FILE.csv",
        help="fairness.csv of an evaluation: whom the detector wrongs, as a table in the card",
    )
    group.add_argument(
        "--figure",
        dest="figures",
        type=_figure,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="shown in the list, such as 'dev EER=4.2 %%'; may be repeated",
    )
    group.add_argument(
        "--trained-by", default="", metavar="TEXT", help="the command that trained the run"
    )


def _figure(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    return name.strip(), value.strip()


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    if args.make is None:
        for name, default in _MAKE_ONLY.items():
            if getattr(args, name) != default:
                flag = "figure" if name == "figures" else name.replace("_", "-")
                raise ConfigError(f"--{flag}: goes with --make only")
        from rawnet_jax.jobs.presets import show_card, show_presets

        return show_presets() if args.preset is None else show_card(args.preset)
    if args.preset is not None:
        raise ConfigError(f"{args.preset}: --make takes no NAME; --name names the new preset")
    if args.output is None:
        raise ConfigError("--make: needs --output, the folder of the new preset")
    from rawnet_jax.jobs.make_preset import MakeOptions, make_preset

    return make_preset(flags.options_of(MakeOptions, args, overrides))
