"""A lock file: small, stable, and read as hostile."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import torchproof
from torchproof import Architecture, contracts
from torchproof.contracts.reading import MAX_BYTES
from torchproof.errors import UsageError


def small():
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def lock():
    return torchproof.architecture(small(), torch.zeros(2, 6))


@pytest.fixture(scope="module")
def schema():
    return json.loads(Path(contracts.__path__[0], "lock.schema.json").read_text("utf-8"))


def test_what_is_written_is_what_is_read(lock):
    assert Architecture.from_json(lock.to_json()) == lock


def test_it_is_as_its_schema_says(lock, schema):
    jsonschema.Draft202012Validator(schema).validate(json.loads(lock.to_json()))
    with torch.device("meta"):
        large = torchproof.architecture(small())
    jsonschema.Draft202012Validator(schema).validate(json.loads(large.to_json()))


def test_an_edit_of_one_module_is_one_line_of_its_operations():
    def lines(act):
        lock = torchproof.architecture(nn.Sequential(nn.Linear(6, 4), act), torch.zeros(2, 6))
        return lock.to_json().partition('"operations"')[2].splitlines()

    before, now = lines(nn.ReLU()), lines(nn.LeakyReLU())
    assert len(before) == len(now)
    assert [line.strip() for line in now if line not in before] == ['"leaky_relu"']


def places_of(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places_of(item, (*path, index))


def replaced(value, path, new):
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_put_in_its_place_is_read_or_refused_in_one_sentence(lock, data):
    document = json.loads(lock.to_json())
    path = data.draw(st.sampled_from(sorted(places_of(document), key=str)))
    wrong = data.draw(st.sampled_from([None, -1, 1e999, "x\u202e", True, [], {}, [[]], 2**70, ""]))
    text = json.dumps(replaced(document, path, wrong))
    try:
        read = Architecture.from_json(text)
    except UsageError as error:
        sentence = str(error)
    else:
        assert Architecture.from_json(read.to_json()) == read
        return
    assert "no lock" in sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "not JSON"),
        (b"[" * 100, "nested deeper"),
        (b'{"format": 2}', "its format is 2, this torchproof reads 1"),
        (b'{"format": 1, "format": 1}', "the same key twice"),
        (b" " * (MAX_BYTES + 1), "more than"),
        (b"[]", "the document is not an object of format"),
    ],
)
def test_what_is_no_lock_is_refused(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        Architecture.from_json(text)


def test_a_lock_cannot_switch_its_check_off(lock):
    document = json.loads(lock.to_json())
    document["probe"]["tolerance"] = 10
    with pytest.raises(UsageError, match="tolerance is not a number above 0"):
        Architecture.from_json(json.dumps(document))
