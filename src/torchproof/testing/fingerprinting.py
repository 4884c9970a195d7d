"""The mode in which tests are not judged: what they train is written down to the last bit.

With ``--torchproof-fingerprint`` a trainee that a test hands to the fixture ``proof`` is neither
proven nor overfitted. Its trajectory is computed, and the test goes on with an answer that finds
nothing, so that a second trainee is seen too. A test that trains by itself is followed for its
first updates and ends there. ``proof.trained`` trains nothing: what the model is made from is
written down (`torchproof.behaviour.trained.identity`), and the test goes on with an untrained one.
For every test that trains, two facts go into the record:

=============  ====================================================================================
``training``   ``trainee`` or ``test``, the digest of everything, for each trainee the digests of
               its steps, joined by commas, and for each trained model ``from:`` and a digest
``code``       digests of the test's own source, of what the project's source says of GPUs, and
               of all of it, see `sources`
=============  ====================================================================================

It says ``trainee`` where trajectories are all that the test does. It says ``test`` where the test
does more, of which no bits are known: it trains by itself, asks for a trained model, records a
metric, or ends in an error because the answer did not suit it. Then only the same project's source
is the same test. One that an untrained model ends before it has asked ``proof`` for all models
and data leaves nothing, see `rest_of_test`.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Callable, Optional

import pytest

from torchproof.testing import rest_of_test
from torchproof.testing.naming import id_of


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from torchproof.proofs.overfit import Overfit
    from torchproof.proofs.prove import Proof
    from torchproof.proofs.trajectory import Trajectory

UPDATES = 5

# No GPU, and the arithmetic that every processor of an architecture has: hosted runners change
# theirs from job to job. Must be set before torch is imported.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}

_WATCH = pytest.StashKey["Watch"]()


class Watch:
    """What one test has trained so far."""

    def __init__(self, emit: Callable[..., None]) -> None:
        self.trajectories: list[Trajectory] = []
        self.updates: list[str] = []
        self.models: list[str] = []
        self.alone = True
        self._emit = emit
        self._ours = False

    def emit(self, event: str, **fields: Any) -> None:
        """Let facts through; whatever else a test records, it has found out beside a trajectory."""
        if event == "fingerprint":
            self._emit(event, **fields)
        else:
            self.alone = False

    def prove(self, build: Callable[[], Any], seed: int) -> Proof:
        """Write a trainee's trajectory down and answer that nothing was found."""
        from torchproof.proofs.finding import Cost
        from torchproof.proofs.prove import Proof

        self._follow(build, seed)
        return Proof([], {}, Cost())

    def overfit(self, build: Callable[[], Any], seed: int) -> Overfit:
        """Write a trainee's trajectory down and answer that it was learned."""
        from torchproof.proofs.overfit import Overfit

        losses = self._follow(build, seed).losses
        curve = [float.fromhex(loss) for loss in losses]
        return Overfit(converged=True, steps=len(curve), curve=curve)

    def model(self, key: str) -> None:
        """Note what a trained model is made from; the test has one that answers otherwise."""
        from torchproof.proofs.trajectory import digest_of

        made = digest_of(key)
        self.models += [] if made in self.models else [made]
        self.alone = False

    def refuse(self, _: Any) -> None:
        """End the set-up of a test at the first update that is not of a trajectory."""
        if not self._ours:
            pytest.skip("no fingerprint: a fixture trains")

    def update(self, optimizer: Any) -> None:
        """Note what an update of the test's own has made; end the test after some."""
        if self._ours:
            return
        from torchproof.proofs.rule import Skip
        from torchproof.proofs.trajectory import digest_of, settings_of

        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        try:
            self.updates.append(digest_of([settings_of(optimizer), parameters]))
        except Skip as why:
            self.updates.clear()
            pytest.skip(f"no fingerprint: {why}")
        if len(self.updates) == UPDATES:
            pytest.skip(f"followed for {UPDATES} updates")

    @property
    def training(self) -> str:
        """The fact ``training``; empty where the test trained nothing."""
        from torchproof.proofs.trajectory import digest_of

        if not self.trajectories and not self.updates and not self.models:
            return ""
        steps = [",".join(each.steps) for each in self.trajectories]
        steps += [",".join(each[:8] for each in self.updates)] if self.updates else []
        steps += [f"from:{each[:8]}" for each in self.models]
        bits = [each.digest for each in self.trajectories]
        digest = digest_of([bits, self.updates, self.models])
        whole = self.alone and not self.updates and all(each.whole for each in self.trajectories)
        return " ".join(["trainee" if whole else "test", digest, *steps])

    def _follow(self, build: Callable[[], Any], seed: int) -> Trajectory:
        from torchproof.proofs.rule import Skip
        from torchproof.proofs.trajectory import trajectory

        self._ours = True
        try:
            found = trajectory(build, seed=seed)
        except Skip as why:
            pytest.skip(f"no fingerprint: {why}")
        finally:
            self._ours = False
        self.trajectories.append(found)
        return found


class Fingerprinting:
    """A pytest plugin: follows what each test trains, and writes it down when the test is over."""

    def __init__(self, emit: Callable[..., None], root: Path) -> None:
        self._emit = emit
        self._root = root

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Begin to follow; a fixture that trains would be run to its end for nothing."""
        watch = item.stash[_WATCH] = Watch(self._emit)
        with _updates(watch.refuse):
            yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Follow a test."""
        watch = item.stash[_WATCH]
        with _exactly(), _updates(watch.update):
            result = yield
        if result.excinfo is not None:
            watch.alone = False
            if watch.models and rest_of_test.asks(item, result.excinfo[2]):
                return
        if watch.training:
            self._write(item, watch.training)

    def _write(self, item: pytest.Item, training: str) -> None:
        # Imported only here: a session outside this mode should not pay for it.
        from torchproof.testing import sources

        test = id_of(item.config, item.nodeid)
        own = sources.of_test(item.path, self._root)
        code = f"{own} {sources.of_project(self._root)}"
        self._emit("fingerprint", kind="training", name=test, value=training)
        self._emit("fingerprint", kind="code", name=test, value=code)


def watch_of(item: pytest.Item) -> Optional[Watch]:
    """Return what follows a test; None outside this mode."""
    return item.stash.get(_WATCH, None)


@contextmanager
def _updates(after: Callable[[Any], Any]) -> Iterator[None]:
    """Call a function after every update of an optimizer in the block."""
    if find_spec("torch") is None:
        yield
        return
    from torchproof.proofs.step.optimizers import optimizer_hooks

    with optimizer_hooks(after=after):
        yield


@contextmanager
def _exactly() -> Iterator[None]:
    if find_spec("torch") is None:
        yield
        return
    from torchproof.proofs.trajectory import exactly

    with exactly():
        yield
