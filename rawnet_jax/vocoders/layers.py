"""Layers that several vocoders share."""

import flax.linen as nn


def conv(width: int, kernel: int, dilation: int = 1, stride: int = 1, *, name: str) -> nn.Conv:
    """Return a convolution over time without weight normalisation, "same" padding.

    Args:
        width: channels that come out.
        kernel: taps.
        dilation: samples from one tap to the next.
        stride: samples in per sample out.
        name: of its parameters.
    """
    # Without weight normalisation N(0, .01) leaves deep blocks silent at first, which costs
    # hundreds of steps; fan-in scaling does not.
    init = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
    return nn.Conv(
        width, (kernel,), (stride,), kernel_dilation=(dilation,), kernel_init=init, name=name
    )


def upsampled(width: int, rate: int, *, name: str) -> nn.ConvTranspose:
    """Return a transposed convolution whose kernel spans two strides, as in HiFi-GAN and MelGAN."""
    init = nn.initializers.normal(0.01)
    return nn.ConvTranspose(width, (2 * rate,), (rate,), kernel_init=init, name=name)
