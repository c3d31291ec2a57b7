"""Files of PyTorch itself, and PyTorch reading ours, where it is installed."""

import numpy as np
import pytest

from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_writer import write_state_dict
from tests.interop.torch_bytes import STATE, message_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_files_of_pytorch(tmp_path, is_zip, protocol):
    grid = torch.arange(24.0).reshape(4, 6)
    state = {name: torch.from_numpy(np.array(STATE[name], order="K")) for name in list(STATE)[:12]}
    state |= {
        "plain": grid,
        "transposed": grid.t(),
        "slice": grid[1:, 2:4],
        "expanded": torch.ones(3, 1).expand(3, 5),
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "brain": torch.randn(5).bfloat16(),
    }
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    for saved in (state, {"epoch": 3, "net": state, "optimizer": optimizer.state_dict()}):
        torch.save(
            saved,
            tmp_path / "a.pth",
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=is_zip,
        )
        found = read_state_dict(tmp_path / "a.pth")
        assert list(found) == list(state)
        for name, tensor_ in state.items():
            wanted = tensor_.detach()
            wanted = (wanted.float() if name == "brain" else wanted).numpy()
            np.testing.assert_array_equal(found[name], wanted)
            assert found[name].dtype == wanted.dtype
        assert np.shares_memory(found["plain"], found["slice"])
    torch.save(model, tmp_path / "a.pth", _use_new_zipfile_serialization=is_zip)
    assert "class torch.nn.modules.container.Sequential" in message_of(tmp_path / "a.pth")
    parallel = torch.nn.DataParallel(model).state_dict()
    torch.save(parallel, tmp_path / "a.pth", _use_new_zipfile_serialization=is_zip)
    assert list(read_state_dict(tmp_path / "a.pth")) == list(model.state_dict())


@pytest.mark.parametrize("mmap", [True, False])
def test_pytorch_reads_what_was_written(tmp_path, mmap):
    path = tmp_path / "a.pth"
    write_state_dict(path, STATE)
    found = torch.load(path, weights_only=True, mmap=mmap)
    assert list(found) == list(STATE)
    for name, array in STATE.items():
        tensor_ = found[name].numpy()
        assert tensor_.shape == array.shape
        assert tensor_.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(tensor_, array)
    linear = torch.nn.Linear(3, 2)
    write_state_dict(path, {n: t.detach().numpy() for n, t in linear.state_dict().items()})
    torch.nn.Linear(3, 2).load_state_dict(torch.load(path, weights_only=True, mmap=mmap))
