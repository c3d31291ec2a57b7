"""Layers that several vocoders share."""

import flax.linen as nn
import jax


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


class ConvNextBlock(nn.Module):
    """A ConvNeXt block over time: depthwise convolution, then a two-layer network per frame.

    Attributes:
        hidden: channels inside.
        scale: of what is added, at first.
    """

    hidden: int
    scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return what the block makes of [B, F, C]."""
        width = x.shape[-1]
        small = nn.initializers.truncated_normal(0.02)
        y = nn.Conv(width, (7,), feature_group_count=width, kernel_init=small, name="depthwise")(x)
        y = nn.LayerNorm(epsilon=1e-6, name="norm")(y)
        y = nn.gelu(nn.Dense(self.hidden, kernel_init=small, name="wide")(y), approximate=False)
        y = nn.Dense(width, kernel_init=small, name="narrow")(y)
        return x + y * self.param("scale", nn.initializers.constant(self.scale), (width,))
