"""The pytest plugin: its options, and which plugin objects a session gets. Loads without torch.

Registered under the entry point ``torchproof``, so that it loads from an installed distribution,
from one that is merely on PYTHONPATH, and by ``-p torchproof`` where autoloading is off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

import pytest

from torchproof.errors import TorchproofError
from torchproof.testing import fingerprinting, recording, session, tiers
from torchproof.testing.fixture import ProofFixture
from torchproof.testing.isolation import Isolation
from torchproof.testing.naming import id_of
from torchproof.testing.own_errors import plainly
from torchproof.testing.shapes import Shapes
from torchproof.testing.summary import Summary


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SESSION = pytest.StashKey[session.Session]()
_ISOLATION = pytest.StashKey[Isolation]()
_EMIT = pytest.StashKey[Any]()
_SHAPES = pytest.StashKey[Shapes]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("torchproof", "torchproof: makes silent model failures loud")
    add = group.addoption
    add("--torchproof-tier", metavar="NAME", help="run the tests of this tier")
    add("--torchproof-seed", metavar="N", type=int, help="base seed (default: from the settings)")
    add("--torchproof-record", metavar="PATH", help="write the run record, also after a crash")
    add("--torchproof-events", metavar="PATH", help="write the run's events, one JSON line each")
    add("--torchproof-config", metavar="FILE", help="read the settings from this TOML file")
    add(
        "--torchproof-update",
        action="store_true",
        help="accept what proofs see now as the reference they compare with",
    )
    add(
        "--torchproof-fingerprint",
        action="store_true",
        help="judge nothing; write down the bits of what each test trains first",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set the tier's environment before the first conftest.py is imported."""
    found = _prepare(early_config, early_config.known_args_namespace)
    if found.tier:
        early_config.add_cleanup(_set_environment(found.tier.env))
    if found.fingerprint:
        early_config.add_cleanup(_set_environment(fingerprinting.ENVIRONMENT))
    _check_shapes(early_config, found)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Apply the tier and register what works during the session."""
    found = _prepare(config, config.option)
    for line in tiers.registrations(found.settings.tiers, config.getini("markers")):
        config.addinivalue_line("markers", line)
    if found.tier:
        config.addinivalue_line("filterwarnings", tiers.BROADCAST_WARNING)
        config.option.markexpr = tiers.both(config.option.markexpr, found.tier.markers)
    emit = config.stash[_EMIT] = _as_usage_error(recording.start, config, found)
    for late in _check_shapes(config, found).late:
        if not recording.is_worker(config):
            emit("note", message=late)
    isolation = config.stash[_ISOLATION] = Isolation(found, emit)
    isolation.start()
    config.add_cleanup(isolation.stop)
    config.pluginmanager.register(isolation, "torchproof-isolation")
    config.pluginmanager.register(Summary(found), "torchproof-summary")
    if found.fingerprint:
        follower = fingerprinting.Fingerprinting(emit, config.rootpath)
        config.pluginmanager.register(follower, "torchproof-fingerprinting")


def pytest_report_header(config: pytest.Config) -> str:
    """Say what the results depend on."""
    return config.stash[_SESSION].header()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Show an error of ours as the sentence that it is."""
    call.excinfo = plainly(call.excinfo, item.config.rootpath)
    yield


@pytest.fixture(autouse=True)
def _torchproof_guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """Watch what the test leaves behind: the first fixture of its scope, hence the last to end."""
    with request.config.stash[_ISOLATION].watch(id_of(request.config, request.node.nodeid)):
        yield


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> ProofFixture:
    """Prove a training step, overfit a batch, record a metric, draw from a named random stream."""
    config = request.config
    test = id_of(config, request.node.nodeid)
    return ProofFixture(request.node, test, config.stash[_SESSION], config.stash[_EMIT])


def _prepare(config: pytest.Config, options: Any) -> session.Session:
    found: Optional[session.Session] = config.stash.get(_SESSION, None)
    if found is None:
        found = _as_usage_error(session.prepare, options, config.rootpath)
        config.stash[_SESSION] = found
    return found


def _check_shapes(config: pytest.Config, found: session.Session) -> Shapes:
    """Start it once: before the first conftest.py, or as soon as the plugin is loaded."""
    shapes = config.stash.get(_SHAPES, None)
    if shapes is None:
        shapes = config.stash[_SHAPES] = Shapes(found.settings.shapes, config.rootpath)
        if found.settings.shapes:
            plugins = config.pluginmanager.list_name_plugin()
            config.add_cleanup(_as_usage_error(shapes.start, plugins))
            config.pluginmanager.register(shapes, "torchproof-shapes")
    return shapes


def _as_usage_error(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except TorchproofError as error:
        raise pytest.UsageError(f"torchproof: {error}") from error


def _set_environment(values: Mapping[str, str], environ: Any = os.environ) -> Any:
    before = {name: environ.get(name) for name in values}
    environ.update(values)

    def put_back() -> None:
        for name, value in before.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value

    return put_back
