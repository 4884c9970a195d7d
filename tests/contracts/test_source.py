"""Where a lock comes from."""

from __future__ import annotations

import hashlib
import io

import pytest
import torch

import torchproof
from torchproof.contracts.source import read_lock
from torchproof.errors import HostError, UsageError


URL = "https://models.example/encoder.arch.json"


@pytest.fixture(scope="module")
def text():
    return torchproof.architecture(torch.nn.Linear(2, 1), torch.zeros(2, 2)).to_json().encode()


def serving(data):
    def opener(url, *, timeout):
        assert url == URL
        return io.BytesIO(data)

    return opener


def test_a_lock_is_read_from_an_address(text):
    assert read_lock(URL, opener=serving(text)).model == "Linear"


def test_a_pin_lets_its_own_content_through(text):
    pin = hashlib.sha256(text).hexdigest()
    assert read_lock(f"{URL}#sha256={pin}", opener=serving(text)).model == "Linear"


def test_a_pin_refuses_any_other_content(text):
    with pytest.raises(UsageError, match="pinned is"):
        read_lock(f"{URL}#sha256={'0' * 64}", opener=serving(text))


@pytest.mark.parametrize("where", ["http://x/y", "file:///etc/passwd", "ftp://x/y"])
def test_only_https_is_read(where):
    with pytest.raises(UsageError, match="over https only"):
        read_lock(where)


def test_a_pin_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="is not sha256="):
        read_lock(f"{URL}#main", opener=serving(text))


def test_an_address_that_does_not_answer_is_an_error_of_the_place():
    def opener(url, *, timeout):
        raise OSError("no route")

    with pytest.raises(HostError, match="no route"):
        read_lock(URL, opener=opener)


def test_an_answer_without_an_end_is_refused():
    class Endless(io.RawIOBase):
        def read(self, size):
            return b" " * size

    with pytest.raises(UsageError, match="more than"):
        read_lock(URL, opener=lambda url, timeout: Endless())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"encoder\.arch\.json: the lock cannot be read"):
        read_lock(tmp_path / "encoder.arch.json")
