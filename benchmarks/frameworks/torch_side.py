"""PyTorch's side: eager, or with `torch.compile`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.frameworks import torch_aasist, torch_models
from benchmarks.frameworks.side import EPSILON, LEARNING_RATE, Outputs, Side, Task, Weights
from benchmarks.machine import num_cores

Function = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class TorchModel:
    """A network, its loss (logits, labels) and its score (logits)."""

    module: type[nn.Module]
    loss: Function
    score: Function


def bce(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, label.to(logits.dtype))


def oc_softmax(cosine: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    distance = torch.where(label == 1, 0.9 - cosine, cosine - 0.2)
    return functional.softplus(20.0 * distance).mean()


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 1] - logits[:, 0]


MODELS = {
    "conv1d": TorchModel(torch_models.Conv1D, bce, lambda logits: logits),
    "rawnet2_asvspoof2021": TorchModel(torch_models.RawNet2, functional.cross_entropy, log_odds),
    "aasist": TorchModel(
        torch_aasist.AASIST, functional.cross_entropy, lambda logits: logits[:, 1]
    ),
    "ssl_linear": TorchModel(torch_models.SslLinear, functional.cross_entropy, log_odds),
    "lfcc_resnet18": TorchModel(torch_models.LfccResNet18, oc_softmax, lambda cosine: cosine),
}


class TorchSide(Side):
    """Adam (fused) on all cores; scores under `torch.inference_mode`."""

    def __init__(self, compiled: bool) -> None:
        self._compiled = compiled
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_num_threads(num_cores())

    def versions(self) -> str:
        return f"PyTorch {torch.__version__} on {self._device.type}"

    def build(self, task: Task, weights: Weights | None) -> None:
        self._task, self._model = task, MODELS[task.model]
        self._module, self._forward = self._make(weights)
        self._optimizer = torch.optim.Adam(
            self._module.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True
        )
        self._batch = task.batch()

    def train(self) -> None:
        self._module.train()
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._model.loss(self._forward(self._waveform()), self._label())
        loss.backward()
        self._optimizer.step()

    def score(self) -> None:
        self._scores(self._waveform())

    def score_one(self) -> np.ndarray:
        return self._scores(self._waveform()[:1]).cpu().numpy()

    def wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def outputs(self, weights: Weights) -> Outputs:
        module, forward = self._make(weights)
        with torch.inference_mode():
            scores = self._model.score(forward(self._waveform()))
        module.train()
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
            elif isinstance(part, torch_models.AttentiveStatistics):
                part.noise = 0.0
        loss = self._model.loss(forward(self._waveform()), self._label())
        loss.backward()
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
        return Outputs(scores.cpu().numpy(), loss.item(), norm.item())

    def _make(self, weights: Weights | None) -> tuple[nn.Module, Function]:
        module = self._model.module().to(self._device).eval()
        if weights is not None:
            module.load_state_dict({n: torch.tensor(array) for n, array in weights.items()})
        return module, torch.compile(module, dynamic=False) if self._compiled else module

    @torch.inference_mode()
    def _scores(self, waveform: torch.Tensor) -> torch.Tensor:
        self._module.eval()
        return self._model.score(self._forward(waveform))

    def _waveform(self) -> torch.Tensor:
        return torch.from_numpy(self._batch["waveform"]).to(self._device, non_blocking=True)

    def _label(self) -> torch.Tensor:
        return torch.from_numpy(self._batch["label"]).to(self._device).long()
