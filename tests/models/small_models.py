"""All that the tests know of each registered model, one row a model."""

import dataclasses
import functools
from collections.abc import Callable, Iterable

import flax.linen as nn
import jax

from rawnet_jax.models.registry import build_model, model_config
from tests.encoders.small_encoders import FAMILIES

# Compiler options with which a program is ready in two thirds of the time, to the same numbers.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
# And in half of that. Gradients of RawNet2 and AASIST come out wrong, which the tests of padding
# see; forward passes are right, and so are gradients of the others.
# Later versions of JAX have no such option.
_WITHOUT_EMITTERS = {"xla_cpu_use_fusion_emitters": False}


def _takes(options: dict) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return False
    return True


QUICKEST = QUICK | (_WITHOUT_EMITTERS if _takes(_WITHOUT_EMITTERS) else {})
quickly = functools.partial(jax.jit, compiler_options=QUICKEST)
"""``jax.jit`` for forward passes."""


@dataclasses.dataclass
class Padded:
    """A very small form of a model without dropout, and lengths at which its masks differ."""

    long: int  # samples of a clip; its frames are odd in number somewhere on the way
    short: int
    row: int  # samples of a row that is longer than either, by no multiple of any stride
    fields: dict
    atol: float = 1e-6  # of statistics


@dataclasses.dataclass
class Case:
    """A small form of a registered model, which compiles in seconds, and what is known of it."""

    num_samples: int
    fields: dict
    padded: Padded
    unused: tuple[str, ...] = ()  # parameters that reach no output, by design
    attention: tuple[str, ...] = ()  # what `explain` shows of it
    # before a BatchNorm, which takes it out: its gradient is zero, or what rounding leaves of it
    cancelled: tuple[str, ...] = ()
    # other rows have its layers: exports, explanations and the Python interface are not tried on it
    alike: bool = False
    quick: dict = dataclasses.field(default_factory=lambda: QUICK)  # for its gradients


CONV1D: dict = {"channels": (3, 4), "kernel_sizes": (10, 3), "strides": (4, 1)}
CONV1D |= {"hidden_features": 3, "block_dropout": (0.0, 0.0), "hidden_dropout": 0.0}

RAWNET2 = {"num_filters": 3, "block_features": (3, 4, 4), "pool_size": 2, "gru_features": 5}
RAWNET2 |= {"gru_layers": 2, "embedding_features": 6}
RAWNET2_LEAST = {"num_filters": 2, "num_taps": 5, "block_features": (2, 3), "pool_size": 2}
RAWNET2_LEAST |= {"gru_features": 3, "gru_layers": 1, "embedding_features": 3}
RAWNET2_MEL = Padded(75, 37, 118, RAWNET2_LEAST | {"filterbank": "mel"})

AASIST_LEAST: dict = {"num_filters": 6, "num_taps": 5, "channels": (2,), "gat_dims": (3, 2)}
AASIST_LEAST |= {"dropout": 0.0, "pool_dropout": 0.0, "head_dropout": 0.0}
AASIST_LEAST |= {"pool_ratios": (0.5, 0.7, 0.5)}
AASIST = Case(
    160,
    {"num_filters": 12, "num_taps": 17, "channels": (3, 4), "gat_dims": (9, 8)}
    | {"pool_ratios": (0.4, 0.5, 0.7)},
    Padded(85, 50, 130, AASIST_LEAST),
    unused=("encoder1/bn1/bias", "encoder1/bn1/scale"),
    attention=("spectral pool", "temporal pool"),
)

LFCC = {"num_frames": 18, "stem_features": 2, "channels": (3, 4), "blocks": (2, 1)}
LFCC |= {"pooled_features": 4, "embedding_features": 5}
LFCC_LEAST = {"stem_features": 2, "channels": (2, 3), "blocks": (1, 1), "pooled_features": 3}
LFCC_LEAST |= {"embedding_features": 3, "pooling_noise": 0.0}
MODULATION = {"hidden_features": 3, "feature_dropout": 0.0, "hidden_dropout": 0.0}
SPECTRAL = {"frame_length": 128, "hop_length": 32, "stem_features": 2, "channels": (2, 3)}
SPECTRAL |= {"blocks": (1, 1), "embedding_features": 3, "dropout": 0.0}

EABN = {"attention_features": (1, 2), "slice_frames": 8, "slice_hop": 4, "embedding_features": 3}
EABN_LEAST = {"attention_features": (1, 2), "embedding_features": 3, "mask_probability": 0.0}
EABN_UNUSED = ("attention/att_conv2/kernel", "centers")  # read by the loss alone
EFFICIENTNET = {"efficientnet_stem": 2, "efficientnet_strides": (2,)}
EFFICIENTNET |= {"efficientnet_expansions": (2,), "efficientnet_features": (2,)}
EFFICIENTNET_LEAST = EFFICIENTNET | {"efficientnet_kernel_sizes": (5,), "efficientnet_head": 3}
EFFICIENTNET_LEAST |= {"efficientnet_dropout": 0.0, "front_end": "lfcc"}
RES2NET = {"res2net_stem": 2, "res2net_base_width": 32, "res2net_scale": 2}
RES2NET_LEAST = RES2NET | {"res2net_planes": (2, 4), "res2net_blocks": (1, 1)}

# 20 samples a frame; receptive field 40
_TINY: dict = {"width": 8, "heads": 2, "feed_forward": 8, "conv_features": 4, "num_layers": 2}
_TINY |= {"position_kernel": 4, "position_groups": 2, "input_norm": "layer_norm"}
TINY = dataclasses.asdict(FAMILIES["xlsr"].replaced(**_TINY))
ON_TINY = {"encoder": TINY}
MANY_STATES = {"encoder": TINY | {"num_layers": 8}}  # so that one unit of their fusion is alive
# The softmax takes out what is the same for all keys.
KEY_BIAS = ("encoder/network/layers/layer/attention/k_proj/bias",)

SSL_AASIST_LEAST = {"features": 6, "channels": (2,), "attention_features": 3, "gat_dims": (3, 2)}
SSL_AASIST_LEAST |= {"dropout": 0.0, "pool_dropout": 0.0, "head_dropout": 0.0}

NES2NET_LEAST = {"scales": (2, 2), "pooling": "astp", "attention_features": 3}
SSL_TCM = {"features": 4, "heads": 2, "blocks": 1, "feed_forward": 1, "conv_factor": 1, "kernel": 3}
PROBE = {"layer": 2, "pooling": "mean_std"}

# A registered model that is missing here fails `test_every_model_has_a_case`.
CASES = {
    "aasist": AASIST,
    "aasist_l": AASIST,
    "conv1d": Case(
        640,
        {"channels": (4, 6), "hidden_features": 5},
        Padded(101, 46, 167, CONV1D),
        quick=QUICKEST,
    ),
    "lfcc_resnet18": Case(
        1_600,
        LFCC,
        Padded(1_500, 830, 2_477, LFCC_LEAST),
        unused=("linear_head/bias", "linear_head/kernel"),  # read by the softmax head alone
        attention=("pooling weight",),
        quick=QUICKEST,
    ),
    "lfcc_modulation": Case(
        1_600,
        LFCC | {"hidden_features": 3},
        # BatchNorm of two clips' logarithms magnifies the rounding of the clips' levels.
        Padded(1_500, 830, 2_477, LFCC_LEAST | MODULATION, atol=1e-5),
        attention=("pooling weight",),
        cancelled=("hidden/bias",),
        quick=QUICKEST,
    ),
    "spectral_resnet": Case(
        1_600,
        SPECTRAL,
        Padded(1_500, 830, 2_477, SPECTRAL, atol=1e-5),
        attention=("pooling weight",),
        quick=QUICKEST,
    ),
    "rawnet2_eurecom": Case(300, RAWNET2 | {"num_taps": 9, "filterbank": "mel"}, RAWNET2_MEL),
    "rawnet2_asvspoof2021": Case(
        800,  # more than 512 taps: filtered another way on a CPU
        RAWNET2 | {"num_taps": 513},
        Padded(75, 37, 118, RAWNET2_LEAST),
        unused=tuple(f"block_{i}/norm1/{leaf}" for i in (1, 2) for leaf in ("scale", "bias")),
    ),
    "rawnet2_asvspoof5": Case(300, RAWNET2 | {"num_taps": 9}, RAWNET2_MEL),
    "eabn_efficientnet_a0": Case(
        1_500,
        EABN | EFFICIENTNET | {"efficientnet_kernel_sizes": (3,), "efficientnet_head": 4},
        Padded(1_500, 830, 2_477, EABN_LEAST | EFFICIENTNET_LEAST),
        unused=EABN_UNUSED,
        attention=("attention mask",),
        quick=QUICKEST,
    ),
    "eabn_se_res2net50": Case(
        1_500,
        EABN | RES2NET | {"res2net_planes": (4,), "res2net_blocks": (2,)},
        Padded(1_500, 830, 2_477, EABN_LEAST | RES2NET_LEAST),
        unused=EABN_UNUSED,
        attention=("attention mask",),
        quick=QUICKEST,
    ),
    "ssl_aasist": Case(
        300,
        ON_TINY
        | {"features": 12, "channels": (3, 4), "attention_features": 5}
        | {"gat_dims": (4, 3)},
        Padded(305, 170, 420, ON_TINY | SSL_AASIST_LEAST),
        unused=("encoder1/bn1/bias", "encoder1/bn1/scale"),
        attention=("temporal pool",),
        cancelled=(*KEY_BIAS, "encoder0/conv1/bias"),
    ),
    "nes2net": Case(
        300,
        MANY_STATES | {"scales": (2, 2), "pooling": "astp", "attention_features": 3},
        Padded(305, 170, 420, ON_TINY | NES2NET_LEAST),
        cancelled=KEY_BIAS,
    ),
    "nes2net_x": Case(
        300,
        ON_TINY | {"scales": (2, 2)},
        Padded(305, 170, 420, ON_TINY | NES2NET_LEAST),
        cancelled=KEY_BIAS,
        alike=True,
    ),
    "ssl_sls": Case(
        300,
        ON_TINY | {"embedding_features": 3},
        Padded(305, 170, 420, ON_TINY | {"embedding_features": 3, "pooling": "mean"}),
        unused=("encoder/network/norm/bias", "encoder/network/norm/scale"),  # no raw state has it
        cancelled=KEY_BIAS,
        alike=True,
    ),
    "ssl_tcm": Case(
        300,
        ON_TINY | SSL_TCM,
        Padded(305, 170, 420, ON_TINY | SSL_TCM),
        cancelled=(*KEY_BIAS, "block_0/conv/net_4/bias"),
        alike=True,
    ),
    "ssl_weighted_sum": Case(
        300,
        ON_TINY | {"features": 3},
        Padded(305, 170, 420, ON_TINY | {"features": 3}),
        cancelled=KEY_BIAS,
        alike=True,
    ),
    "ssl_linear": Case(
        300, ON_TINY, Padded(305, 170, 420, ON_TINY), cancelled=KEY_BIAS, alike=True
    ),
    "ssl_probe": Case(
        300,
        ON_TINY | PROBE,
        Padded(305, 170, 420, ON_TINY | PROBE),
        unused=("encoder/network/norm/bias", "encoder/network/norm/scale"),  # of the last state
        cancelled=KEY_BIAS,
    ),
}


def small_model(name: str) -> nn.Module:
    return build_model(model_config(name, **CASES[name].fields))


def padded_model(name: str) -> nn.Module:
    return build_model(model_config(name, **CASES[name].padded.fields, variable_length=True))


def distinct(build: Callable[[str], nn.Module]) -> dict[nn.Module, str]:
    """Rows of the registry that differ in sizes alone have the same small form: tried once."""
    return {build(name): name for name in sorted(CASES, reverse=True)}


DISTINCT = distinct(small_model)


def unlike(names: Iterable[str]) -> list[str]:
    """Return the names of rows of which each has layers that no other one has."""
    return [name for name in names if not CASES[name].alike]
