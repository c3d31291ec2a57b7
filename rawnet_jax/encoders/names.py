"""How an encoder's weights are called: by Hugging Face, by fairseq, and inside a detector's file.

Here every tensor has one name, that of Hugging Face's ``Wav2Vec2Model``, ``HubertModel`` and
``WavLMModel``, with PyTorch's older spelling of weight norm, which every version of them reads.
`TORCH_NAMES` says what is where in our variables.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from rawnet_jax.errors import CheckpointError

_Value = TypeVar("_Value")

_CONV = r"^feature_extractor\.conv_layers\.(\d+)\."
_LAYER = r"^encoder\.layers\.(\d+)\."

# fairseq's (for WavLM: unilm's) name -> Hugging Face's; the first one that matches is taken.
_FAIRSEQ: tuple[tuple[str, str], ...] = (
    (_CONV + r"0\.(weight|bias)$", r"feature_extractor.conv_layers.\1.conv.\2"),
    (_CONV + r"2\.(?:1\.)?(weight|bias)$", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (_LAYER + r"self_attn\.([qkv]|out)_proj\.", r"encoder.layers.\1.attention.\2_proj."),
    (_LAYER + r"self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (_LAYER + r"fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (_LAYER + r"fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (_LAYER + r"self_attn\.grep_linear\.", r"encoder.layers.\1.attention.gru_rel_pos_linear."),
    (_LAYER + r"self_attn\.grep_a$", r"encoder.layers.\1.attention.gru_rel_pos_const"),
    (
        _LAYER + r"self_attn\.relative_attention_bias\.",
        r"encoder.layers.\1.attention.rel_attn_embed.",
    ),
    (r"^mask_emb$", "masked_spec_embed"),
)
_SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"\.parametrizations\.weight\.original0$", ".weight_g"),
    (r"\.parametrizations\.weight\.original1$", ".weight_v"),
)
# Where fairseq has a BatchNorm first, the convolution behind it is number 1.
_POSITION_NORM = r"^encoder\.pos_conv\.0\.running_mean$"
_POSITION = ((r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),)
_POSITION_BEHIND_NORM = (
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.batch_norm."),
    (r"^encoder\.pos_conv\.1\.", "encoder.pos_conv_embed.conv."),
)
# Pre-training's own parts, which no hidden state depends on.
_UNUSED = re.compile(
    r"^(quantizer|project_q|project_hid|final_proj|lm_head|target_glu|label_embs_concat"
    r"|masked_spec_embed)(\.|$)|\.num_batches_tracked$"
)
# A tensor that every encoder has, in both families of names.
_ANCHOR = re.compile(r"^(.*?)feature_extractor\.conv_layers\.0\.(?:0|conv)\.weight$")

RULES: tuple[tuple[str, str], ...] = (
    (r"^network/", ""),
    (r"^layers/relative_bias/embedding$", "encoder/layers/0/attention/rel_attn_embed/weight"),
    (r"^layers/layer_(\d+)/", r"encoder/layers/\1/"),
    (r"/attention_norm/", "/layer_norm/"),
    (r"/final_norm/", "/final_layer_norm/"),
    (r"/(intermediate|output)/", r"/feed_forward/\1_dense/"),
    (r"/attention/gate/", "/attention/gru_rel_pos_linear/"),
    (r"/attention/gate_factor$", "/attention/gru_rel_pos_const"),
    (r"^feature_extractor/conv_(\d+)/", r"feature_extractor/conv_layers/\1/conv/"),
    (r"^feature_extractor/norm_(\d+)/", r"feature_extractor/conv_layers/\1/layer_norm/"),
    (r"^feature_projection/norm/", "feature_projection/layer_norm/"),
    (r"^norm/", "encoder/layer_norm/"),
    (r"^position/", "encoder/pos_conv_embed/"),
    (r"/conv/length$", "/conv/weight_g"),
    (r"/conv/direction/weight$", "/conv/weight_v"),
)
"""From our path to the name: `rawnet_jax.models.torch_names` applies them one after the other."""


def encoder_prefix(names: Iterable[str]) -> str:
    """Return what stands before the names of the encoder in a file, such as ``ssl_model.model.``.

    Raises:
        CheckpointError: no encoder is there, or several are.
    """
    matches = (_ANCHOR.match(name) for name in names)
    found = sorted({match[1] for match in matches if match})
    if not found:
        raise CheckpointError(
            "no encoder of the wav2vec 2.0 kind: no tensor's name ends in "
            "feature_extractor.conv_layers.0.conv.weight or …conv_layers.0.0.weight"
        )
    if len(found) > 1:
        raise CheckpointError(
            f"holds {len(found)} encoders, under {', '.join(repr(name) for name in found)}; keep "
            "the tensors of one"
        )
    return found[0]


def divided(
    state: Mapping[str, _Value], kept_layers: int, num_layers: int
) -> tuple[dict[str, _Value], dict[str, _Value], list[str]]:
    """Tell an encoder's tensors from the others of a file.

    Args:
        state: name in the file -> anything.
        kept_layers: layers whose tensors are wanted.
        num_layers: layers of the whole encoder.

    Returns:
        The encoder's, by Hugging Face's names; those of another part of the file (a detector's
        head), by their own names; names of what belongs to the encoder and is not used.

    Raises:
        CheckpointError: no encoder is there or several are, or two tensors are the same one.
    """
    prefix = encoder_prefix(state)
    mine = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
    rest = {name: value for name, value in state.items() if not name.startswith(prefix)}
    rules = _rules(mine)
    used: dict[str, _Value] = {}
    unused, twice = [], []
    for name, value in mine.items():
        known = _known(name, rules)
        layer = re.match(_LAYER, known)
        if _UNUSED.search(known) or (layer and kept_layers <= int(layer[1]) < num_layers):
            unused.append(prefix + name)
        elif known in used:
            twice.append(prefix + name)
        else:
            used[known] = value
    if twice:
        raise CheckpointError(f"tensors under two names: {', '.join(grouped(twice))}")
    return used, rest, unused


def _rules(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    behind_norm = any(re.match(_POSITION_NORM, name) for name in names)
    return _FAIRSEQ + (_POSITION_BEHIND_NORM if behind_norm else _POSITION)


def _known(name: str, rules: Iterable[tuple[str, str]]) -> str:
    """Return Hugging Face's name."""
    for pattern, replacement in rules:
        changed, count = re.subn(pattern, replacement, name)
        if count:
            name = changed
            break
    for pattern, replacement in _SPELLINGS:
        name = re.sub(pattern, replacement, name)
    return name


def grouped(names: Iterable[str]) -> list[str]:
    """Return names of tensors, those that differ in one layer's number as one: ``a.{0-3,7}.b``."""
    places: dict[tuple[str, str], list[int]] = {}
    for name in names:
        match = re.match(r"^(.*?layers\.)(\d{1,6})(\..*)$", name)
        before, number, behind = match.groups() if match else (name, "-1", "")
        places.setdefault((before, behind), []).append(int(number))
    return [
        before + (_numbers(found) if behind else "") + behind
        for (before, behind), found in places.items()
    ]


def _numbers(found: Iterable[int]) -> str:
    """Return numbers as text: 5 or {0-3,7}."""
    runs: list[list[int]] = []
    for number in sorted(set(found)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    return parts[0] if len(parts) == 1 and "-" not in parts[0] else f"{{{','.join(parts)}}}"
