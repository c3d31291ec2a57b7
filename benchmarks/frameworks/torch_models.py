"""The compared networks in PyTorch, as its users write them: channels first, layers of `torch.nn`.

Attributes have the names under which the networks were published, so that the project's exported
weights load as they are; Conv1D, which was not published in PyTorch, has the project's names. What
a published network holds without using it (a normalisation, a head) is held here and not computed.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.frameworks import constants

_RAWNET2_CHANNELS = (20, 20, 128, 128, 128, 128)
_RESNET_CHANNELS = (64, 128, 256, 512)


class Conv1D(nn.Module):
    """The Conv1D classifier; returns the log odds of bona fide speech, [B]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_0 = nn.Conv1d(1, 32, 80, stride=16, padding=32)
        self.norm_0 = nn.BatchNorm1d(32, eps=1e-3, momentum=0.01)
        self.conv_1 = nn.Conv1d(32, 64, 3, padding=1)
        self.norm_1 = nn.BatchNorm1d(64, eps=1e-3, momentum=0.01)
        self.hidden = nn.Linear(64, 64)
        self.head = nn.Linear(64, 1)
        self.pool = nn.MaxPool1d(2)
        self.block_dropout = nn.Dropout(0.3)
        self.hidden_dropout = nn.Dropout(0.5)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        x = self.norm_0(torch.relu(self.conv_0(waveform[:, None])))
        x = self.block_dropout(x)
        x = self.norm_1(torch.relu(self.conv_1(x)))
        x = self.block_dropout(self.pool(x))
        x = torch.relu(self.hidden(x.mean(dim=2)))
        return self.head(self.hidden_dropout(x))[:, 0]


class RawNet2Block(nn.Module):
    """Two convolutions and a skip; the published pre-activation does nothing."""

    def __init__(self, channels: int, features: int, first: bool) -> None:
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm1d(channels)
        self.conv1 = nn.Conv1d(channels, features, 3, padding=1)
        self.bn2 = nn.BatchNorm1d(features)
        self.conv2 = nn.Conv1d(features, features, 3, padding=1)
        self.conv_downsample = nn.Conv1d(channels, features, 1) if channels != features else None
        self.act = nn.LeakyReLU(0.3)
        self.pool = nn.MaxPool1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(self.act(self.bn2(self.conv1(x))))
        if self.conv_downsample is not None:
            x = self.conv_downsample(x)
        return self.pool(out + x)


class RawNet2(nn.Module):
    """RawNet2 as the baseline of ASVspoof 2021; returns [spoof, bonafide] logits, [B, 2]."""

    def __init__(self) -> None:
        super().__init__()
        bank = torch.from_numpy(constants.sinc_filters(20, 1025))
        self.register_buffer("bank", bank[:, None], persistent=False)
        self.first_bn = nn.BatchNorm1d(20)
        channels = 20
        for i, features in enumerate(_RAWNET2_CHANNELS):
            setattr(self, f"block{i}", nn.Sequential(RawNet2Block(channels, features, i == 0)))
            setattr(self, f"fc_attention{i}", nn.Sequential(nn.Linear(features, features)))
            channels = features
        self.bn_before_gru = nn.BatchNorm1d(channels)
        self.gru = nn.GRU(channels, 1024, num_layers=3, batch_first=True)
        self.fc1_gru = nn.Linear(1024, 1024)
        self.fc2_gru = nn.Linear(1024, 2)
        self.pool = nn.MaxPool1d(3)
        self.selu = nn.SELU(inplace=True)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        x = functional.conv1d(waveform[:, None], self.bank)
        x = self.selu(self.first_bn(self.pool(x.abs())))
        for i in range(len(_RAWNET2_CHANNELS)):
            x = getattr(self, f"block{i}")(x)
            scale = torch.sigmoid(getattr(self, f"fc_attention{i}")(x.mean(dim=2)))[:, :, None]
            x = x * scale + scale
        x = self.selu(self.bn_before_gru(x))
        states, _ = self.gru(x.transpose(1, 2))
        return self.fc2_gru(self.fc1_gru(states[:, -1]))


class PreActivationBlock(nn.Module):
    """Residual block with BatchNorm and ReLU in front of its convolutions."""

    def __init__(self, channels: int, features: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, features, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or channels != features:
            projection = nn.Conv2d(channels, features, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = torch.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        out = self.conv2(torch.relu(self.bn2(self.conv1(active))))
        return out + shortcut


class Lfcc(nn.Module):
    """LFCC with deltas, repeated or cut to a number of frames: [B, T] to [B, 1, 60, 750]."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("window", "triangles", "dct"):
            value = torch.from_numpy(getattr(constants, name)())
            self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        x = torch.cat([waveform[:, :1], waveform[:, 1:] - 0.97 * waveform[:, :-1]], dim=1)
        hop = constants.HOP_LENGTH
        num_frames = max(1, -(-(x.shape[1] - hop) // hop))
        missing = (num_frames - 1) * hop + constants.FRAME_LENGTH - x.shape[1]
        frames = functional.pad(x, (0, missing)).unfold(1, constants.FRAME_LENGTH, hop)
        power = torch.fft.rfft(frames * self.window, constants.DFT_SIZE).abs().square()
        static = torch.log10(power @ self.triangles + constants.LOG_FLOOR) @ self.dct
        static = static.transpose(1, 2)
        delta = self._delta(static)
        features = torch.cat([static, delta, self._delta(delta)], dim=1)
        times = -(-constants.NUM_FRAMES // num_frames)
        return features.repeat(1, 1, times)[:, None, :, : constants.NUM_FRAMES]

    @staticmethod
    def _delta(features: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(features, (1, 1), mode="replicate")
        return padded[:, :, 2:] - padded[:, :, :-2]


class AttentiveStatistics(nn.Module):
    """Sum of attended frames and their spread, [B, C, T] to [B, 2 C]; noise in training."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.att_weights = nn.Parameter(torch.empty(1, features).uniform_(-0.15, 0.15))
        self.noise = 1e-5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        weighted = x * torch.softmax(torch.tanh(x @ self.att_weights.T), dim=1)
        noisy = weighted
        if self.training and self.noise:
            noisy = weighted + self.noise * torch.randn_like(weighted)
        return torch.cat([weighted.sum(dim=1), noisy.std(dim=1)], dim=1)


class Center(nn.Module):
    """The centre of OC-Softmax; returns cosines to it, [B]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.empty(1, features).uniform_(-0.15, 0.15))

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return functional.cosine_similarity(embedding, self.center)


class LfccResNet18(nn.Module):
    """LFCC-ResNet18 with OC-Softmax's centre; returns cosines to it, [B]."""

    def __init__(self) -> None:
        super().__init__()
        self.lfcc = Lfcc()
        self.conv1 = nn.Conv2d(1, 16, (9, 3), stride=(3, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for i, features in enumerate(_RESNET_CHANNELS, 1):
            first = PreActivationBlock(channels, features, stride=1 if i == 1 else 2)
            second = PreActivationBlock(features, features, stride=1)
            setattr(self, f"layer{i}", nn.Sequential(first, second))
            channels = features
        self.conv5 = nn.Conv2d(channels, 256, 3, padding=(0, 1), bias=False)
        self.bn5 = nn.BatchNorm2d(256)
        self.attention = AttentiveStatistics(256)
        self.fc = nn.Linear(512, 256)
        self.fc_mu = nn.Linear(256, 2)
        self.ocsoftmax = Center(256)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(self.lfcc(waveform))))
        for i in range(len(_RESNET_CHANNELS)):
            x = getattr(self, f"layer{i + 1}")(x)
        x = torch.relu(self.bn5(self.conv5(x)))[:, :, 0]
        return self.ocsoftmax(self.fc(self.attention(x)))


class SslLinear(nn.Module):
    """XLS-R 300M of transformers, the mean over time of its last state, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        rates = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
        self.encoder = Wav2Vec2Model(
            Wav2Vec2Config(
                hidden_size=1024,
                num_hidden_layers=24,
                num_attention_heads=16,
                intermediate_size=4096,
                do_stable_layer_norm=True,
                feat_extract_norm="layer",
                conv_bias=True,
                layerdrop=0.0,
                mask_time_prob=0.0,
                **dict.fromkeys(rates, 0.0),
            )
        )
        self.proj_fc = nn.Linear(1024, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.layer_norm(x, x.shape[1:])
        return self.proj_fc(self.encoder(x).last_hidden_state.mean(1))
