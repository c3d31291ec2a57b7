"""Names of the weights of Whisper's encoder: those of Hugging Face's ``WhisperEncoder``."""

from rawnet_jax.encoders.names import EncoderNames, Rules

_BLOCK = r"^blocks\.(\d+)\."

# OpenAI's name -> Hugging Face's; the first one that matches is taken.
_OPENAI: Rules = (
    (_BLOCK + r"attn\.([qkv])(?:uery|ey|alue)\.", r"layers.\1.self_attn.\2_proj."),
    (_BLOCK + r"attn\.out\.", r"layers.\1.self_attn.out_proj."),
    (_BLOCK + r"attn_ln\.", r"layers.\1.self_attn_layer_norm."),
    (_BLOCK + r"mlp\.0\.", r"layers.\1.fc1."),
    (_BLOCK + r"mlp\.2\.", r"layers.\1.fc2."),
    (_BLOCK + r"mlp_ln\.", r"layers.\1.final_layer_norm."),
    (r"^ln_post\.", "layer_norm."),
    (r"^positional_embedding$", "embed_positions.weight"),
)

WHISPER_NAMES = EncoderNames(
    kind="Whisper",
    sought="conv1.weight with blocks.0.attn.key.weight or layers.0.self_attn.k_proj.weight",
    anchors=(
        r"^(.*?)conv1\.weight$",
        r"^(.*?)(?:blocks\.0\.attn\.key|layers\.0\.self_attn\.k_proj)\.weight$",
    ),
    spellings=lambda _: (_OPENAI,),
    unused=r"(?!)",  # nothing
    beside=r"^(?:model\.)?(?:decoder[./]|proj_out\.)",
    layer=r"^layers\.(\d{1,6})\.",
    rules=(
        (r"^network/", ""),
        (r"^positions$", "embed_positions/weight"),
        (r"^layers/layer_(\d+)/", r"layers/\1/"),
        (r"/attention/", "/self_attn/"),
        (r"/attention_norm/", "/self_attn_layer_norm/"),
        (r"/final_norm/", "/final_layer_norm/"),
        (r"/intermediate/", "/fc1/"),
        (r"/output/", "/fc2/"),
        (r"^norm/", "layer_norm/"),
    ),
    written_under="encoder.",
)
