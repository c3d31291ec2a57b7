"""A TFLite file in 8-bit numbers.

Convolutions and matrix products of trained parameters take, hold and make int8; they are nearly all
of a network's size and time. What lies between them, such as normalisation and the gates of a GRU,
stays float32, where 8 bits cost most: one range is for all channels there. So does the front end:
the power of speech spans more than 8 bits before its logarithm, and nobody trained it to bear that.
"""

import contextlib
import io
import warnings

import numpy as np

from rawnet_jax.errors import ExportError
from rawnet_jax.export.program import Program
from rawnet_jax.export.tflite_program import FRONT_END

_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")


def quantized(
    content: bytes,
    program: Program,
    signature: str,
    representative: tuple[np.ndarray, np.ndarray] | None,
) -> bytes:
    """Return a file in 8-bit numbers.

    Args:
        content: of a file in float32.
        program: what it was made of.
        signature: name of what it computes.
        representative: clips by which the ranges of activations are chosen, from the lowest to the
            highest value that they reach: waveform float32 [N, T] and num_samples int32 [N].

    Raises:
        ExportError: there is no clip, or the file cannot be quantised.
    """
    from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    if representative is None or not len(representative[0]):
        raise ExportError("tflite: int8 takes representative clips, and there is none")
    names = qtyping.TFLOperationName
    recipe = recipe_manager.RecipeManager()
    for product in _PRODUCTS:
        recipe.add_static_config(".*", names[product], activation_num_bits=8, weight_num_bits=8)
    recipe.add_quantization_config(
        f".*{FRONT_END}.*", names.ALL_SUPPORTED, algorithm_key="no_quantize"
    )
    rows = [
        dict(zip(program.inputs, (waveform[None], own[None]), strict=False))
        for waveform, own in zip(*representative, strict=True)
    ]
    try:
        # It reports its progress, and warns of the memory that looking at all activations takes.
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            # By default ranges are moving averages, beyond which loud clips would be cut off.
            ranges = calibrator.Calibrator(
                content, num_threads=1, qsv_update_func=qsv_utils.min_max_update
            )
            ranges.calibrate({signature: rows}, recipe)
            made = quantizer.Quantizer(bytearray(content), recipe.get_quantization_recipe())
            return bytes(made.quantize(ranges.get_model_qsvs()).quantized_model)
    except (ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        model = program.metadata["model"]
        raise ExportError(f"tflite: model {model} cannot be made int8: {reason}") from error
