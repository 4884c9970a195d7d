"""When a trained model is the same one, and how its weights are kept."""

from __future__ import annotations

import importlib
import sys
import threading
from functools import partial
from itertools import count

import pytest
import torch

from torchproof.behaviour import cache
from torchproof.behaviour.code import computation
from torchproof.behaviour.sources import sources
from torchproof.behaviour.trained import trained
from torchproof.errors import UsageError


NAMES = count()
FILES = {
    "__init__.py": "",
    "model.py": "import torch\nfrom . import parts\n\n"
    "def build():\n    return torch.nn.Linear(2, 1)\n"
    "\ndef train(model, rate=0.1):\n    from .lazy import step\n    step(model, rate)\n",
    "parts.py": "WIDTH = 3\n",
    "lazy.py": "from .deep.down import rule\n\ndef step(model, rate):\n"
    "    model.weight.data += rate\n",
    "deep/__init__.py": "",
    "deep/down.py": "def rule():\n    return 1\n",
    "other.py": "raise RuntimeError('nobody imports this')\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's under a name of its own; returns what imports it anew."""
    name = f"behaviour_package_{next(NAMES)}"
    for file, text in FILES.items():
        path = tmp_path / name / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def load(**changes):
        for file, text in changes.items():
            (tmp_path / name / f"{file.replace('__', '/')}.py").write_text(text)
        for module in [each for each in sys.modules if each.partition(".")[0] == name]:
            del sys.modules[module]
        importlib.invalidate_caches()
        return importlib.import_module(f"{name}.model")

    return load


def key(functions, **values):
    return computation(functions, values)


def test_the_sources_are_those_that_are_imported_however_late(package):
    module = package()
    found = {name.partition(".")[2] for name in sources([module.train])}
    assert found == {"", "model", "parts", "lazy", "deep", "deep.down"}


def test_code_elsewhere_changes_nothing_and_code_that_is_imported_does(package):
    before = key([package().train])
    assert key([package(other="x = 1\n").train]) == before
    assert key([package(deep__down="def rule():\n    return 2\n").train]) != before


def test_installed_packages_are_the_environments_to_tell_unless_copied_from_a_directory(tmp_path):
    assert sources([partial, torch.nn.Linear, torch.Generator]) == {}
    place = tmp_path / "site-packages"
    info = place / "copied-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "copied_package").mkdir()
    (place / "copied_package" / "__init__.py").write_text("def train(model):\n    pass\n")
    (info / "RECORD").write_text("copied_package/__init__.py,,\n")
    sys.path.insert(0, str(place))
    try:
        train = importlib.import_module("copied_package").train
        assert sources([train]) == {}
        (info / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///x"}')
        assert {*sources([train])} == {"copied_package"}
    finally:
        sys.path.remove(str(place))
        sys.modules.pop("copied_package", None)


def test_values_bound_to_a_function_count(package):
    train = package().train
    keys = [key([partial(train, rate=rate)]) for rate in (0.1, 0.2, 0.1)]
    assert keys[0] == keys[2] != keys[1]

    def closed(rate):
        return lambda model: train(model, rate)

    keys = [key([closed(rate)]) for rate in (0.1, 0.2, 0.1)]
    assert keys[0] == keys[2] != keys[1]


def test_a_bound_value_that_cannot_be_hashed_is_refused():
    lock = threading.Lock()
    with pytest.raises(UsageError, match="holds a value of its own"):
        key([lambda model: lock])


def test_a_function_without_a_source_is_refused():
    with pytest.raises(UsageError, match="is not known"):
        key([eval("lambda model: model")])


def make(package, tmp_path, **options):
    module = package()
    directory = tmp_path / "cache"
    directory.mkdir(exist_ok=True)
    defaults = {
        "build": module.build,
        "name": "model",
        "config": None,
        "data": None,
        "version": "",
        "seed": 0,
        "environment": {},
        "directory": directory,
    }
    return trained(options.pop("train", module.train), **{**defaults, **options})


def test_the_second_call_reads_what_the_first_trained(package, tmp_path):
    first, known = make(package, tmp_path)
    second, again = make(package, tmp_path)
    assert (known, again) == (False, True)
    assert torch.equal(first.weight, second.weight)
    assert first is not second
    assert not first.training


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"version": "v2"}, {"config": {"rate": 0.2}}, {"environment": {"torch": "9"}}],
)
def test_another_seed_config_or_environment_trains_again(package, tmp_path, change):
    make(package, tmp_path)
    assert make(package, tmp_path, **change)[1] is False


def test_training_draws_from_the_seed_and_leaves_the_generators_alone(package, tmp_path):
    state = torch.get_rng_state()
    one, _ = make(package, tmp_path, seed=5, environment={"run": 1})
    other, known = make(package, tmp_path, seed=5, environment={"run": 2})
    assert not known
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_file_that_is_damaged_is_made_again(tmp_path):
    state = {"weight": torch.ones(3)}
    cache.obtain(tmp_path, "model", "k" * 40, lambda: state)
    (file,) = tmp_path.glob("*.pt")
    file.write_bytes(file.read_bytes()[:40])
    found, known = cache.obtain(tmp_path, "model", "k" * 40, lambda: state)
    assert not known
    assert torch.equal(found["weight"], state["weight"])


def test_a_file_that_would_run_code_runs_none(tmp_path):
    state = {"weight": torch.ones(3)}
    torch.save(torch.nn.Linear(1, 1), tmp_path / f"model-{'k' * 32}.pt")
    assert cache.obtain(tmp_path, "model", "k" * 40, lambda: state)[1] is False


def test_a_state_that_weights_only_loading_refuses_is_told(tmp_path):
    with pytest.raises(UsageError, match="more than tensors"):
        cache.obtain(tmp_path, "model", "k" * 40, lambda: {"module": torch.nn.Linear(1, 1)})


def test_a_training_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        cache.obtain(tmp_path, "model", "k" * 40, lambda: 1 / 0)
    assert not list(tmp_path.glob("*.p*"))


def test_the_directory_is_bounded(tmp_path):
    for number in range(cache.MAX_FILES + 4):
        cache.obtain(tmp_path, "model", f"{number:032d}", lambda: {"x": torch.ones(1)})
    assert len(list(tmp_path.glob("*.pt"))) == cache.MAX_FILES
    assert len(list(tmp_path.glob("*.lock"))) == 1


def test_weights_of_another_model_are_told(package, tmp_path):
    with pytest.raises(UsageError, match="do not fit what build returns"):
        make(package, tmp_path, train=lambda model: torch.nn.Linear(3, 3))


def test_a_name_that_is_no_file_name_is_refused(package, tmp_path):
    with pytest.raises(UsageError, match="the model's name is"):
        make(package, tmp_path, name="../x")
