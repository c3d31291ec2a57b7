"""A small form of every registered model, which compiles in seconds."""

import dataclasses

import flax.linen as nn

from rawnet_jax.models.registry import build_model, model_config

# Compiler options with which a program is ready in two thirds of the time, to the same numbers.
# (A third flag, xla_cpu_use_fusion_emitters=False, halves it again: with these it makes a wrong
# gradient of RawNet2.)
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclasses.dataclass
class Case:
    """A small form of a registered model, to keep the contract test fast."""

    num_samples: int
    fields: dict
    unused: tuple[str, ...] = ()  # parameters that reach no output, by design


RAWNET2 = {"num_filters": 3, "block_features": (3, 4, 4), "pool_size": 2, "gru_features": 5}
RAWNET2 |= {"gru_layers": 2, "embedding_features": 6}

AASIST = {"num_filters": 12, "num_taps": 17, "channels": (3, 4), "gat_dims": (9, 8)}
AASIST |= {"pool_ratios": (0.4, 0.5, 0.7)}
AASIST_UNUSED = ("encoder1/bn1/bias", "encoder1/bn1/scale")

EABN = {"attention_features": (1, 2), "slice_frames": 8, "slice_hop": 4, "embedding_features": 3}
EABN_UNUSED = ("attention/att_conv2/kernel", "centers")  # read by the loss alone

# A registered model that is missing here fails `test_every_model_has_a_case`.
CASES = {
    "aasist": Case(160, AASIST, unused=AASIST_UNUSED),
    "aasist_l": Case(160, AASIST, unused=AASIST_UNUSED),
    "conv1d": Case(640, {"channels": (4, 6), "hidden_features": 5}),
    "lfcc_resnet18": Case(
        1_600,
        {"num_frames": 18, "stem_features": 2, "channels": (3, 4), "blocks": (2, 1)}
        | {"pooled_features": 4, "embedding_features": 5},
        unused=("linear_head/bias", "linear_head/kernel"),  # read by the softmax head alone
    ),
    "lfcc_modulation": Case(
        1_600,
        {"num_frames": 18, "stem_features": 2, "channels": (3, 4), "blocks": (2, 1)}
        | {"pooled_features": 4, "embedding_features": 5, "hidden_features": 3},
    ),
    "rawnet2_eurecom": Case(300, RAWNET2 | {"num_taps": 9, "filterbank": "mel"}),
    "rawnet2_asvspoof2021": Case(
        800,  # more than 512 taps: filtered another way on a CPU
        RAWNET2 | {"num_taps": 513},
        unused=tuple(f"block_{i}/norm1/{leaf}" for i in (1, 2) for leaf in ("scale", "bias")),
    ),
    "rawnet2_asvspoof5": Case(300, RAWNET2 | {"num_taps": 9}),
    "eabn_efficientnet_a0": Case(
        1_500,
        EABN
        | {"efficientnet_stem": 2, "efficientnet_kernel_sizes": (3,), "efficientnet_strides": (2,)}
        | {"efficientnet_expansions": (2,), "efficientnet_features": (2,), "efficientnet_head": 4},
        unused=EABN_UNUSED,
    ),
    "eabn_se_res2net50": Case(
        1_500,
        EABN
        | {"res2net_stem": 2, "res2net_planes": (4,), "res2net_blocks": (2,)}
        | {"res2net_base_width": 32, "res2net_scale": 2},
        unused=EABN_UNUSED,
    ),
}


def small_model(name: str) -> nn.Module:
    return build_model(model_config(name, **CASES[name].fields))


# Rows of the registry that differ in sizes alone have the same small form: it is tried once.
DISTINCT = {small_model(name): name for name in sorted(CASES, reverse=True)}
