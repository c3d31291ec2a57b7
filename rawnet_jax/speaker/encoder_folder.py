"""Encoders of voices on disk: a folder with weights, what they are, and perhaps a calibration.

``encoder.json`` says what the network is and has the SHA-256 of the weights, which lie beside it as
``weights.safetensors`` or ``model.onnx``. ``calibration.json`` is fitted later.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.atomic_file import new_folder, refuse_used, write_files
from rawnet_jax.errors import CheckpointError, ConfigError, DataError
from rawnet_jax.fitted_file import SCHEMA_VERSION, read_fitted
from rawnet_jax.flat_weights import packed, unpacked
from rawnet_jax.regular_file import read_regular
from rawnet_jax.scoring.verdict import CALIBRATION_JSON, load_calibration
from rawnet_jax.speaker.ecapa import EcapaNetwork, EcapaTdnn
from rawnet_jax.speaker.encoder import SpeakerEncoder
from rawnet_jax.speaker.ge2e import PART_FRAMES, Ge2e, Ge2eNetwork
from rawnet_jax.speaker.network import VoiceNetwork
from rawnet_jax.speaker.onnx_network import OnnxNetwork
from rawnet_jax.variable_check import check_finite, check_shapes

GE2E, ECAPA, ONNX = "ge2e", "ecapa", "onnx"
KINDS = (GE2E, ECAPA, ONNX)
ENCODER_JSON = "encoder.json"
_CONTENT = "speaker encoder"
_FILES = {GE2E: "weights.safetensors", ECAPA: "weights.safetensors", ONNX: "model.onnx"}


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What ``encoder.json`` says.

    Attributes:
        kind: one of `KINDS`.
        name: for people.
        fields: of the network's Linen module; of an ONNX file none.
        sha256: of the file of weights, in hexadecimal.
        source: where the weights are from, as it was said.
        licence: of the weights, as it was said.
    """

    kind: str
    name: str
    fields: Mapping[str, Any]
    sha256: str
    source: str = ""
    licence: str = "not stated"

    @property
    def digest(self) -> str:
        """SHA-256 of what determines a vector."""
        deciding = {"kind": self.kind, "fields": dict(self.fields), "weights": self.sha256}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def template_of(module: Ge2e | EcapaTdnn) -> dict[str, Any]:
    """Return the shapes of a network's variables."""
    key = jax.random.key(0)
    inputs: list[Any]
    if isinstance(module, Ge2e):
        inputs = [jax.ShapeDtypeStruct((1, PART_FRAMES, 40), np.float32)]
    else:
        inputs = [
            jax.ShapeDtypeStruct((1, 200, 80), np.float32),
            jax.ShapeDtypeStruct((1,), np.int32),
        ]
    found: dict[str, Any] = jax.eval_shape(module.init, key, *inputs)
    return found


def write_encoder(
    folder: Path,
    card: EncoderCard,
    weights: Mapping[str, Any] | bytes,
    calibration: str | None = None,
) -> EncoderCard:
    """Write an encoder, whole or not at all.

    Args:
        folder: a new one, or empty.
        card: what it is; its `sha256` is set here.
        weights: variables of a network, or the content of an ONNX file.
        calibration: content of ``calibration.json``; None = there is none.

    Returns:
        The card as written.

    Raises:
        DataError: the folder is in use or cannot be written.
    """
    refuse_used(folder, "--output")
    content = weights if isinstance(weights, bytes) else packed(weights)
    record = asdict(card) | {"sha256": hashlib.sha256(content).hexdigest()}
    whole = {"content": _CONTENT, "schema_version": SCHEMA_VERSION, **record}
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    files: list[tuple[str, str, str | bytes]] = [
        ("weights", _FILES[card.kind], content),
        ("encoder", ENCODER_JSON, text),
    ]
    if calibration is not None:
        files.append(("calibration", CALIBRATION_JSON, calibration))
    with new_folder(folder, "--output") as temporary:
        write_files(temporary, files)
    return EncoderCard(**record)


def read_card(folder: Path) -> EncoderCard:
    """Read ``encoder.json``.

    Raises:
        ConfigError: the folder is not an encoder.
        DataError: it is damaged.
    """
    path = folder / ENCODER_JSON
    if not path.exists():
        raise ConfigError(
            f"{folder}: is not an encoder of voices; it must be a folder that speaker-encoder "
            "--import made, or an .onnx file"
        )
    record = read_fitted(path, _CONTENT)
    try:
        names = ("kind", "name", "fields", "sha256", "source", "licence")
        card = EncoderCard(**{name: record[name] for name in names})
        texts = (card.kind, card.name, card.sha256, card.source, card.licence)
        good = all(isinstance(text, str) for text in texts) and isinstance(card.fields, dict)
    except KeyError as error:
        raise DataError(f"{path}: lacks {error}") from None
    if not good or card.kind not in KINDS:
        raise DataError(f"{path}: damaged; its kind must be one of {', '.join(KINDS)}")
    return card


def load_encoder(path: str | Path, *, speech: str = "silero") -> SpeakerEncoder:
    """Load an encoder of voices.

    Args:
        path: a folder that ``speaker-encoder --import`` made, or an ``.onnx`` file.
        speech: what looks for speech: "silero", "energy" or "off".

    Raises:
        ConfigError: there is no encoder, or the detector of speech or ONNX Runtime is missing.
        CheckpointError: the weights are damaged or of another network.
        DataError: a file is damaged, or an ONNX file makes no vectors.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        content = _content(path)
        card = EncoderCard(ONNX, path.stem, {}, hashlib.sha256(content).hexdigest())
        return SpeakerEncoder(OnnxNetwork(path), card.name, card.digest, speech)
    card = read_card(path)
    file = path / _FILES[card.kind]
    content = _content(file)
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise CheckpointError(f"{file}: damaged: its SHA-256 must be the one in {ENCODER_JSON}")
    network = OnnxNetwork(file) if card.kind == ONNX else network_of(card, content, file)
    fitted = path / CALIBRATION_JSON
    calibration = load_calibration(fitted) if fitted.exists() else None
    return SpeakerEncoder(network, card.name, card.digest, speech, calibration)


def network_of(card: EncoderCard, content: bytes, file: Path) -> VoiceNetwork:
    """Make the network of a card with the weights of a safetensors file."""
    modules: dict[str, Any] = {GE2E: Ge2e, ECAPA: EcapaTdnn}
    networks: dict[str, Any] = {GE2E: Ge2eNetwork, ECAPA: EcapaNetwork}
    try:
        module = modules[card.kind](**card.fields)
        variables = unpacked(content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{file}: damaged: {error}") from None
    check_shapes(variables, template_of(module), file)
    check_finite(variables, file)
    network: VoiceNetwork = networks[card.kind](module, variables)
    return network


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
