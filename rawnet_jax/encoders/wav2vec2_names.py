"""Names of the weights of wav2vec 2.0, XLS-R, MMS, HuBERT and WavLM.

Those of Hugging Face's ``Wav2Vec2Model``, ``HubertModel`` and ``WavLMModel``, with PyTorch's older
spelling of weight norm, which every version of them reads.
"""

import re
from collections.abc import Iterable

from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.encoders.names import EncoderNames, Rules, first_applied

_CONV = r"^feature_extractor\.conv_layers\.(\d+)\."
_LAYER = r"^encoder\.layers\.(\d{1,6})\."

# fairseq's (for WavLM: unilm's) name -> Hugging Face's; the first one that matches is taken.
_FAIRSEQ: Rules = (
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
_WEIGHT_NORM: Rules = (
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
# The way back: Hugging Face's name -> fairseq's; the first one that matches is taken.
_TO_FAIRSEQ: Rules = (
    (_CONV + r"conv\.", r"feature_extractor.conv_layers.\1.0."),
    (r"^feature_projection\.layer_norm\.", "layer_norm."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (_LAYER + r"attention\.([qkv]|out)_proj\.", r"encoder.layers.\1.self_attn.\2_proj."),
    (_LAYER + r"layer_norm\.", r"encoder.layers.\1.self_attn_layer_norm."),
    (_LAYER + r"feed_forward\.intermediate_dense\.", r"encoder.layers.\1.fc1."),
    (_LAYER + r"feed_forward\.output_dense\.", r"encoder.layers.\1.fc2."),
    (_LAYER + r"attention\.gru_rel_pos_linear\.", r"encoder.layers.\1.self_attn.grep_linear."),
    (_LAYER + r"attention\.gru_rel_pos_const$", r"encoder.layers.\1.self_attn.grep_a"),
    (
        _LAYER + r"attention\.rel_attn_embed\.",
        r"encoder.layers.\1.self_attn.relative_attention_bias.",
    ),
    (r"^encoder\.pos_conv_embed\.batch_norm\.", "encoder.pos_conv.0."),
)
# Pre-training's own parts, which no hidden state depends on.
_UNUSED = (
    r"^(quantizer|project_q|project_hid|final_proj|lm_head|target_glu|label_embs_concat"
    r"|masked_spec_embed)(\.|$)|\.num_batches_tracked$"
)
_RULES: Rules = (
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


def _spellings(names: Iterable[str]) -> tuple[Rules, ...]:
    behind_norm = any(re.match(_POSITION_NORM, name) for name in names)
    return _FAIRSEQ + (_POSITION_BEHIND_NORM if behind_norm else _POSITION), _WEIGHT_NORM


def fairseq_name(name: str, config: Wav2Vec2Config) -> str:
    """Return what fairseq (for WavLM: unilm) calls a tensor.

    Args:
        name: Hugging Face's.
        config: of the encoder.
    """
    norm = "2.1" if config.conv_norm == "layer" else "2"
    place = "1" if config.position_batch_norm else "0"
    rules = (
        *_TO_FAIRSEQ,
        (_CONV + r"layer_norm\.", rf"feature_extractor.conv_layers.\g<1>.{norm}."),
        (r"^encoder\.pos_conv_embed\.conv\.", f"encoder.pos_conv.{place}."),
    )
    return first_applied(name, rules)


WAV2VEC2_NAMES = EncoderNames(
    kind="wav2vec 2.0",
    sought="feature_extractor.conv_layers.0.conv.weight or …conv_layers.0.0.weight",
    anchors=(r"^(.*?)feature_extractor\.conv_layers\.0\.(?:0|conv)\.weight$",),
    spellings=_spellings,
    unused=_UNUSED,
    beside=r"(?!)",  # nothing
    layer=_LAYER,
    rules=_RULES,
)
