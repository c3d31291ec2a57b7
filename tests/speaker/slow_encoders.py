"""Both encoders once more, as loops over frames, from PyTorch's names of weights, in float64."""

import numpy as np

from tests.speaker.toy_voices import RATE

State = dict[str, np.ndarray]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def power(frame, points):
    """Power of one frame's DFT, by its definition."""
    k, n = np.arange(points // 2 + 1)[:, None], np.arange(len(frame))
    return np.abs((np.exp(-2j * np.pi * k * n / points) * frame).sum(axis=1)) ** 2


def triangles(edges_hz, points, areas):
    """Triangular filters [bands, bins] between every three edges."""
    found = np.zeros((len(edges_hz) - 2, points // 2 + 1))
    for band, (low, middle, high) in enumerate(
        zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False)
    ):
        for bin_ in range(points // 2 + 1):
            hz = bin_ * RATE / points
            if low < hz <= middle:
                found[band, bin_] = (hz - low) / (middle - low)
            elif middle < hz < high:
                found[band, bin_] = (high - hz) / (high - middle)
        if areas:
            found[band] *= 2 / (high - low)
    return found


def slaney_hz(mel):
    return mel * 200 / 3 if mel < 15 else 1_000 * 6.4 ** ((mel - 15) / 27)


def slow_mel_powers(waveform):
    """Frames of 400 samples around every 160th, zeros beyond the ends; 40 bands."""
    top = 15 + 27 * np.log(8) / np.log(6.4)
    bank = triangles([slaney_hz(top * i / 41) for i in range(42)], 400, areas=True)
    window = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / 400) for n in range(400)])
    frames = []
    for middle in range(0, len(waveform) + 1, 160):
        frame = np.zeros(400)
        for i in range(400):
            if 0 <= middle - 200 + i < len(waveform):
                frame[i] = waveform[middle - 200 + i]
        frames.append(bank @ power(frame * window, 400))
    return np.array(frames)


def slow_lstm(x, state: State, layer):
    """One layer over [T, C]."""
    names = (f"{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    w_in, w_state, b_in, b_state = (state[f"lstm.{name}"].astype(np.float64) for name in names)
    size = w_state.shape[1]
    hidden, cell, found = np.zeros(size), np.zeros(size), []
    for frame in x:
        gates = w_in @ frame + b_in + w_state @ hidden + b_state
        enter, keep, new, leave = gates.reshape(4, size)
        cell = sigmoid(keep) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        found.append(hidden)
    return np.array(found)


def slow_ge2e(waveform, state: State, starts, layers):
    """The vector of a clip whose parts begin at these frames."""
    needed = (starts[-1] + 160) * 160
    padded = np.concatenate([waveform, np.zeros(max(needed - len(waveform), 0))])
    mel = slow_mel_powers(padded)
    parts = []
    for start in starts:
        x = mel[start : start + 160]
        for layer in range(layers):
            x = slow_lstm(x, state, layer)
        out = np.maximum(state["linear.weight"] @ x[-1] + state["linear.bias"], 0)
        parts.append(out / np.linalg.norm(out))
    mean = np.mean(parts, axis=0)
    return mean / np.linalg.norm(mean)


def slow_conv(x, weight, bias, dilation=1):
    """A convolution over [C, T] with zeros around, as PyTorch lays it out."""
    taps, length = weight.shape[2], x.shape[1]
    found = np.tile(bias[:, None].astype(np.float64), (1, length))
    for tap in range(taps):
        shift = (tap - taps // 2) * dilation
        for t in range(length):
            if 0 <= t + shift < length:
                found[:, t] += weight[:, :, tap] @ x[:, t + shift]
    return found


def slow_norm(x, state: State, name):
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale = state[f"{name}.weight"] / np.sqrt(var + 1e-5)
    shift = state[f"{name}.bias"] - mean * scale
    return x * scale[:, None] + shift[:, None] if x.ndim == 2 else x * scale + shift


def slow_log_mel(waveform):
    """80 levels for every 160th sample, mean over time off; [80, T]."""
    x = np.array([w - 0.97 * waveform[abs(i - 1)] for i, w in enumerate(waveform)])
    window = [0.54 - 0.46 * np.cos(2 * np.pi * n / 400) for n in range(400)]
    top, low = (2_595 * np.log10(1 + hz / 700) for hz in (7_600, 20))
    edges = [700 * (10 ** ((low + (top - low) * i / 81) / 2_595) - 1) for i in range(82)]
    bank = triangles(edges, 512, areas=False)
    frames = []
    for middle in range(0, len(x) + 1, 160):
        at = np.arange(middle - 256, middle + 256)
        at = np.abs(at)
        at = np.where(at >= len(x), 2 * (len(x) - 1) - at, at)
        frame = x[at]
        frame[:56] = frame[456:] = 0
        frame[56:456] *= window
        frames.append(np.log(bank @ power(frame, 512) + 1e-6))
    levels = np.array(frames).T
    return levels - levels.mean(axis=1, keepdims=True)


def slow_block(x, state: State, name, dilation):
    def conv(y, part, dilation=1):
        return slow_conv(y, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"], dilation)

    y = slow_norm(np.maximum(conv(x, "conv1"), 0), state, f"{name}.bn1")
    count = sum(key.startswith(f"{name}.convs.") for key in state) // 2
    groups = np.split(y, count + 1)
    done: list[np.ndarray] = []
    for i in range(count):
        given = groups[i] if i == 0 else groups[i] + done[-1]
        given = np.maximum(conv(given, f"convs.{i}", dilation), 0)
        done.append(slow_norm(given, state, f"{name}.bns.{i}"))
    y = np.concatenate([*done, groups[-1]])
    y = slow_norm(np.maximum(conv(y, "conv3"), 0), state, f"{name}.bn3")
    mean = y.mean(axis=1, keepdims=True)
    inside = np.maximum(conv(mean, "se.se.1"), 0)
    return y * sigmoid(conv(inside, "se.se.3")) + x


def slow_ecapa(waveform, state: State):
    """The vector of a clip."""

    def conv(y, name):
        return slow_conv(y, state[f"{name}.weight"], state[f"{name}.bias"])

    x = slow_norm(np.maximum(conv(slow_log_mel(waveform), "conv1"), 0), state, "bn1")
    first = slow_block(x, state, "layer1", 2)
    second = slow_block(x + first, state, "layer2", 3)
    third = slow_block(x + first + second, state, "layer3", 4)
    x = np.maximum(conv(np.concatenate([first, second, third]), "layer4"), 0)
    deviation = np.sqrt(np.maximum(x.var(axis=1, ddof=1), 1e-4))
    length = x.shape[1]
    whole = np.concatenate([x, np.tile(x.mean(1)[:, None], length)])
    whole = np.concatenate([whole, np.tile(deviation[:, None], length)])
    inside = np.tanh(slow_norm(np.maximum(conv(whole, "attention.0"), 0), state, "attention.2"))
    weight = np.exp(conv(inside, "attention.4"))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = (weight * x).sum(axis=1)
    spread = np.sqrt(np.maximum((weight * x**2).sum(axis=1) - mean**2, 1e-4))
    y = slow_norm(np.concatenate([mean, spread]), state, "bn5")
    y = slow_norm(state["fc6.weight"] @ y + state["fc6.bias"], state, "bn6")
    return y / np.linalg.norm(y)
