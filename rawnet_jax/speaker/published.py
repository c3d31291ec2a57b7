"""Published encoders of voices: read from a PyTorch file, a wheel or an installed package."""

import importlib.util
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_weights import variables_from_torch
from rawnet_jax.regular_file import check_regular
from rawnet_jax.speaker import ecapa, ge2e
from rawnet_jax.speaker.encoder_folder import ECAPA, GE2E, ONNX, EncoderCard, template_of
from rawnet_jax.speaker.onnx_network import OnnxNetwork

PACKAGE = "resemblyzer"
_INSIDE = f"{PACKAGE}/pretrained.pt"
_MOST_BYTES = 2**28
_ROUNDING = 1e-3


def read_published(
    source: Path | None, *, name: str = "", licence: str = "not stated"
) -> tuple[EncoderCard, dict[str, Any] | bytes]:
    """Read an encoder that somebody published; nothing in the file is run.

    Args:
        source: a PyTorch file of GE2E (Resemblyzer) or ECAPA-TDNN (TaoRuijie), the wheel of
            Resemblyzer, or an ONNX file; None = the installed package ``resemblyzer``, which is
            not imported.
        name: for people; "" = after the source.
        licence: of the weights.

    Returns:
        What it is, and variables as float32 arrays; of an ONNX file its content.

    Raises:
        ConfigError: the package is not installed.
        CheckpointError: the file cannot be read, or is of another network.
        DataError: an ONNX file makes no vectors.
    """
    path = installed_weights() if source is None else source
    shown = PACKAGE if source is None else path.name
    if path.suffix.lower() == ".onnx":
        OnnxNetwork(path)
        return EncoderCard(ONNX, name or path.stem, {}, "", shown, licence), path.read_bytes()
    state = _in_wheel(path) if path.suffix.lower() == ".whl" else read_state_dict(path)
    kind, fields, variables = encoder_from_state(state, path)
    return EncoderCard(kind, name or f"{kind} of {shown}", fields, "", shown, licence), variables


def installed_weights() -> Path:
    """Return the weights' file of the installed package ``resemblyzer``.

    Raises:
        ConfigError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"--import: the package {PACKAGE} is not installed; name its wheel, or a file of "
            "weights (pip download --no-deps resemblyzer fetches the wheel)"
        )
    return Path(next(iter(found.submodule_search_locations))) / Path(_INSIDE).name


def encoder_from_state(
    state: Mapping[str, np.ndarray], path: Path
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Find which network a state dict is of, and convert it.

    Args:
        state: PyTorch name -> array.
        path: for errors.

    Returns:
        Kind, fields of the network's module, variables.

    Raises:
        CheckpointError: it is of neither network, or not whole.
    """
    try:
        if "lstm.weight_ih_l0" in state:
            return GE2E, *_ge2e(state)
        names = {name.removeprefix(ecapa.PREFIX): name for name in state}
        if "layer1.convs.0.weight" in names:
            return ECAPA, *_ecapa({short: state[name] for short, name in names.items()})
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (IndexError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: not whole: {error}") from None
    raise CheckpointError(
        f"{path}: neither GE2E (lstm.weight_ih_l0) nor ECAPA-TDNN (layer1.convs.0.weight); another "
        "encoder goes in as an ONNX file"
    )


def _ge2e(state: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    kept = {name: a for name, a in state.items() if name not in ge2e.NOT_IN_THE_NETWORK}
    embedding, features = state["linear.weight"].shape
    layers = sum(bool(re.fullmatch(r"lstm\.weight_ih_l\d+", name)) for name in state)
    fields = {"features": features, "num_layers": layers, "embedding_features": embedding}
    template = template_of(ge2e.Ge2e(**fields))
    return fields, variables_from_torch(kept, ge2e.TORCH_NAMES, template)


def _ecapa(state: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    bank = state.get("torchfbank.1.mel_scale.fb")
    wanted = ecapa.bank()
    if bank is not None and not (
        bank.shape == wanted.shape and np.allclose(bank, wanted, rtol=0, atol=_ROUNDING)
    ):
        raise CheckpointError("its mel bands are not the published ones; they must be")
    others = ecapa.NOT_IN_THE_NETWORK
    kept = {name: array for name, array in state.items() if not name.startswith(others)}
    groups = sum(bool(re.fullmatch(r"layer1\.convs\.\d+\.weight", name)) for name in state)
    fields = {
        "channels": state["conv1.weight"].shape[0],
        "scale": groups + 1,
        "squeezed": state["layer1.se.se.1.weight"].shape[0],
        "aggregated": state["layer4.weight"].shape[0],
        "attention_features": state["attention.0.weight"].shape[0],
        "embedding_features": state["fc6.weight"].shape[0],
    }
    template = template_of(ecapa.EcapaTdnn(**fields))
    return fields, variables_from_torch(kept, ecapa.TORCH_NAMES, template)


def _in_wheel(path: Path) -> dict[str, np.ndarray]:
    """Read the weights inside the wheel of Resemblyzer."""
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as wheel:
            info = wheel.getinfo(_INSIDE)
            if info.file_size > _MOST_BYTES:
                raise CheckpointError(f"{path}: {_INSIDE} is {info.file_size:,} bytes; too many")
            content = wheel.read(info)
    except KeyError:
        raise CheckpointError(
            f"{path}: no {_INSIDE}; it must be the wheel of Resemblyzer"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path}: damaged wheel ({error})") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pretrained.pt"
        file.write_bytes(content)
        return read_state_dict(file)
