"""Fingerprints: equal for equal bytes, another for anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.data.fingerprint import fingerprint
from torchproof.errors import UsageError


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN, PLAIN)
def test_values_have_one_fingerprint_exactly_if_they_look_the_same(one, other):
    def looks(value):
        return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)

    assert fingerprint(one) == fingerprint(one)
    if looks(one) != looks(other) and not isinstance(one, dict):
        assert fingerprint(one) != fingerprint(other)


def test_the_order_of_a_dictionary_and_of_a_set_does_not_count():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"x", "y", "z"}) == fingerprint({"z", "y", "x"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, "1"),
        (1, True),
        ("ab", ["a", "b"]),
        ([["a"], "b"], [["a", "b"]]),
        (torch.zeros(4), torch.zeros(2, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.tensor([0.0, -0.0])),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
    ],
)
def test_type_and_shape_count(one, other):
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.bool, torch.int8]
)
def test_every_dtype_has_bytes_and_the_layout_in_memory_does_not_count(dtype):
    table = torch.arange(6).reshape(2, 3).to(dtype)
    assert fingerprint(table) == fingerprint(table.T.contiguous().T)
    assert fingerprint(table) == fingerprint(table.clone().requires_grad_(dtype.is_floating_point))
    assert fingerprint(torch.zeros(0)) == fingerprint(torch.zeros(0))


def test_byte_order_does_not_count():
    assert fingerprint(np.arange(3, dtype="<i4")) == fingerprint(np.arange(3, dtype=">i4"))


def test_a_directory_is_its_files_and_their_names(tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder / "inner").mkdir(parents=True)
        (tmp_path / folder / "inner" / "a.txt").write_text("text")
    one, other = tmp_path / "one", tmp_path / "other"
    assert fingerprint(one) == fingerprint(other)
    (other / "inner" / "a.txt").rename(other / "inner" / "b.txt")
    assert fingerprint(one) != fingerprint(other)
    with pytest.raises(UsageError, match="no such data"):
        fingerprint(tmp_path / "nothing")


class Carrying:
    def __init__(self, **names):
        self.__dict__.update(names)


def test_a_fingerprint_that_data_carries_is_taken():
    assert fingerprint(Carrying(_fingerprint="c0ffee")) == "huggingface:c0ffee"
    assert fingerprint(Carrying(fingerprint="v1:12")) == "own:v1:12"
    nested = [{"train": Carrying(_fingerprint=each)} for each in ("a", "b", "a")]
    assert fingerprint(nested[0]) == fingerprint(nested[2]) != fingerprint(nested[1])


def test_a_map_style_dataset_is_its_rows():
    def dataset(*rows):
        return torch.utils.data.TensorDataset(torch.tensor(rows))

    assert fingerprint(dataset(1, 2)) == fingerprint(dataset(1, 2)) != fingerprint(dataset(2, 1))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "builtins.object has no bytes"),
        (torch.zeros(2).to_sparse(), "sparse or quantized"),
        (torch.zeros(2, device="meta"), "on meta"),
        (lambda: 1, "has no bytes"),
    ],
)
def test_what_has_no_bytes_is_refused(value, said):
    with pytest.raises(UsageError, match=said):
        fingerprint([value])


def test_another_process_agrees():
    value = {"a": [1, 2.5, None], "b": {"x", "y"}, "c": b"\0"}
    code = (
        "from torchproof.data.fingerprint import fingerprint;"
        "print(fingerprint({'a': [1, 2.5, None], 'b': {'x', 'y'}, 'c': b'\\0'}));"
        "import sys; assert 'torch' not in sys.modules"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == fingerprint(value)
