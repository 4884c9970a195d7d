"""A checkpoint is held against a lock by its header."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from torch import nn

import torchproof
from torchproof.contracts import check_weights, metadata
from torchproof.contracts.safetensors import header
from torchproof.errors import UsageError


TYPES = {torch.float32: "F32", torch.int64: "I64", torch.float16: "F16"}


def save(path, model, notes=None, change=None):
    """Write a safetensors file by its specification."""
    table, place, data = {"__metadata__": notes} if notes else {}, 0, b""
    for name, value in model.state_dict().items():
        raw = value.contiguous().numpy().tobytes()
        spans = [place, place + len(raw)]
        table[name] = {"dtype": TYPES[value.dtype], "shape": [*value.shape], "data_offsets": spans}
        place, data = spans[1], data + raw
    if change:
        change(table)
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def net(act=nn.ReLU, hidden=8):
    return nn.Sequential(nn.Linear(6, hidden), act(), nn.BatchNorm1d(hidden), nn.Linear(hidden, 3))


def locked(**options):
    return torchproof.architecture(net(**options), torch.zeros(2, 6))


def test_weights_that_fit_are_let_through(tmp_path):
    found = check_weights(save(tmp_path / "w", net()), locked())
    assert found.words == ("names and shapes of the weights are the same",)


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    path = save(tmp_path / "w", net(hidden=9))
    with pytest.raises(UsageError, match=r"do not fit: incompatible: 0\.bias was 9 and is 8"):
        check_weights(path, locked())


def test_weights_trained_as_another_function_are_refused_if_they_carry_their_architecture(tmp_path):
    path = save(tmp_path / "w", net(nn.LeakyReLU), metadata(locked(act=nn.LeakyReLU)))
    with pytest.raises(UsageError, match="function changed: leaky_relu → relu in 1"):
        check_weights(path, locked())


def test_the_lock_may_be_a_file(tmp_path):
    (tmp_path / "net.arch.json").write_text(locked().to_json(), "utf-8")
    path = save(tmp_path / "w", net(), metadata(locked()))
    assert check_weights(path, tmp_path / "net.arch.json").verdict == "identical"


def test_of_weights_that_are_one_tensor_one_is_enough(tmp_path):
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight
    path = save(tmp_path / "w", model, change=lambda table: table.pop("1.weight"))
    assert not check_weights(path, torchproof.architecture(model, torch.zeros(2, 6))).breaks


def test_files_of_the_library_itself_are_read(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    library.save_file(net().state_dict(), tmp_path / "w", metadata=metadata(locked()))
    assert check_weights(tmp_path / "w", locked()).verdict == "identical"


def first(table):
    return next(name for name in table if not name.startswith("__"))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table[first(table)].update(dtype="F99"),
        lambda table: table[first(table)].update(shape=[-1]),
        lambda table: table[first(table)].update(data_offsets=[0, 2**60]),
        lambda table: table[first(table)].update(shape=[10**6]),
        lambda table: table[first(table)].pop("shape"),
        lambda table: table.update(__metadata__={"a": 1}),
        lambda table: table.update(x=3),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path, change):
    path = save(tmp_path / "w", net(), change=change)
    with pytest.raises(UsageError, match="it is no safetensors file"):
        header(path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, b"\x10" + b"\0" * 7, b"PK\x03\x04" * 9])
def test_a_file_that_is_something_else_is_refused(tmp_path, data):
    (tmp_path / "w").write_bytes(data)
    with pytest.raises(UsageError, match="it is no safetensors file"):
        header(tmp_path / "w")
