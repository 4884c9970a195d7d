"""The `proof` fixture: what a test asks of torchproof, each answer written as an event at once."""

from __future__ import annotations

import dataclasses
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import pytest

from torchproof.errors import UsageError
from torchproof.settings import parse_tolerance
from torchproof.testing.explain import explain, not_judged
from torchproof.testing.fingerprinting import watch_of
from torchproof.testing.isolation import note
from torchproof.testing.streams import Streams, seed_of


if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torchproof.testing.session import Session

MAX_NAME = 200
MAX_UNIT = 64


class ProofFixture:
    """What the fixture `proof` gives a test.

    Attributes:
        seed: The test's own seed, with which its generators and streams begin.
        update: True where the run is to accept what proofs see now as their reference.
    """

    def __init__(
        self, item: pytest.Item, test: str, session: Session, emit: Callable[..., None]
    ) -> None:
        self._item = item
        self._test = test
        self._base = session.seed
        self._watch = watch_of(item)
        self._emit = self._watch.emit if self._watch else emit
        self._metrics: set[str] = set()
        self.seed = seed_of(session.seed, test)
        self.update = session.update
        self._streams = Streams(self.seed)

    def __call__(self, build: Callable[[], Any], **options: Any) -> Any:
        """Prove the trainee that ``build`` makes; fail with every error that is found.

        Args:
            build: Returns a fresh ``torchproof.Trainee``.
            **options: Passed to ``torchproof.prove``, such as ``rules``.

        Returns:
            The ``torchproof.Proof``, with its warnings and what could not be judged.
        """
        __tracebackhide__ = True
        import torchproof

        if self._watch:
            return self._watch.prove(build, options.get("seed", self._base))
        proof = torchproof.prove(build, **{"seed": self._base, **options})
        broken = self._record_findings(proof.findings)
        if proof.skipped:
            verbose = self._item.config.option.verbose > 0
            text = not_judged(proof.skipped, verbose=verbose)
            self._item.add_report_section("call", "torchproof: rules not judged", text)
        if broken:
            pytest.fail(broken)
        return proof

    def overfit(
        self, build: Callable[[], Any], *, name: Optional[str] = None, **options: Any
    ) -> Any:
        """Overfit one batch and record the loss curve; fail if it provably cannot be learned.

        Args:
            build: Returns a fresh ``torchproof.Trainee``.
            name: What to call the curve; the test's name if not given.
            **options: Passed to ``torchproof.overfit``: ``steps``, ``loss_below``.

        Returns:
            The ``torchproof.Overfit``.
        """
        __tracebackhide__ = True
        import torchproof

        curve = _name(name or self._item.name)
        seed = options.setdefault("seed", self._base)
        if self._watch:
            return self._watch.overfit(build, seed)
        result = torchproof.overfit(build, **options)
        self._emit(
            "curve",
            test=self._test,
            name=curve,
            values=[float(loss) for loss in result.curve],
            converged=result.converged,
            steps=result.steps,
            reason=result.reason,
            seed=seed,
        )
        broken = self._record_findings(result.findings)
        if not result.converged:
            sentence = f"torchproof: one batch was not learned: {result.reason}"
            pytest.fail(f"{sentence}\n\n{broken}".strip())
        return result

    def metric(
        self,
        name: str,
        value: Any,
        better: Optional[str] = None,
        unit: str = "",
        tolerance: Union[float, str, None] = None,
    ) -> None:
        """Record a number; NaN and infinity fail the test.

        Args:
            name: What it is called in the history, such as ``val/accuracy``; once a test.
            value: A number, or a tensor or array with one element.
            better: ``lower`` or ``higher``; None for a number that is not judged.
            unit: Such as ``ratio``, ``s`` or ``MiB``.
            tolerance: The change that does not count: absolute (0.01) or relative ("2%").

        Raises:
            UsageError: An argument cannot be used.
        """
        __tracebackhide__ = True
        if name in self._metrics:
            what = f"the metric {name!r} is recorded twice by this test"
            raise UsageError(what, "Give each number a name of its own.")
        number = _number(name, value)
        self._metrics.add(name)
        self._emit(
            "metric",
            test=self._test,
            name=_name(name),
            value=number,
            better=_better(better),
            unit=_unit(unit),
            tolerance=_tolerance(tolerance),
            seed=self._base,
        )
        if not math.isfinite(number):
            pytest.fail(f"torchproof: the metric {name} is {number}, not a finite number")

    def behaviour(self, name: str, *, kind: str, inputs: Any, **options: Any) -> Any:
        """Test a capability of a trained model; fail if too many inputs are answered wrongly.

        The failure rate is recorded as the metric ``behaviour/<name>``, with its 95 % interval,
        and the first failures as examples.

        Args:
            name: Of the capability, such as ``negation``; once a test.
            kind: ``MFT`` (each input has its answer), ``INV`` (a change that must not matter) or
                ``DIR`` (a change moves the answer the right way).
            inputs: A list, or a tensor or array with one row an input.
            **options: See `torchproof.testing.behaviour.behaviour`: ``expect``, ``perturb``,
                ``predict`` or ``model`` (else the fixture ``trained_model`` answers), ``within``,
                ``at_least``, ``at_most``, ``slices``, ``allow``, ``tolerance``, ``show``.

        Returns:
            The ``Capability``, with its rate, answers and slices.
        """
        __tracebackhide__ = True
        from torchproof.testing.behaviour import behaviour

        return behaviour(self, self._item, self._emit, name, kind=kind, inputs=inputs, **options)

    def trained(self, train: Optional[Callable[..., Any]] = None, **options: Any) -> Any:
        """Return a model that was trained once for its code, data, configuration and seed.

        Args:
            train: Trains a model in place: ``train(model)``, ``train(model, data, **config)``.
            **options: See `torchproof.testing.behaviour.trained`: ``build`` (returns an untrained
                model), ``config``, ``data``, ``name``, ``checkpoint`` (weights instead of train).
        """
        __tracebackhide__ = True
        from torchproof.testing.behaviour import trained

        return trained(self, self._item, self._base, train, **options)

    def dataset(self, name: str, data: Any = None, **options: Any) -> str:
        """Record which version of the data a result depends on, and what the data holds.

        Args:
            name: Of the data set.
            data: A path (also as text, relative to rootdir), tensors, plain values, a data set.
            **options: See `torchproof.testing.dataset.dataset`: ``splits``, ``expect``.

        Returns:
            The fingerprint.
        """
        __tracebackhide__ = True
        from torchproof.testing.dataset import dataset

        return dataset(self, self._item, self._emit, name, data, **options)

    def architecture(
        self,
        model: Any,
        example: Any,
        *,
        name: str,
        lock: Union[str, Path, None] = None,
        waive: str = "",
    ) -> Any:
        """Hold a model against its lock; fail if it loads the same weights and answers otherwise.

        Args:
            model: The model; its weights do not matter.
            example: What it is called with; see ``torchproof.architecture``.
            name: What it is called, and its lock: ``locks/NAME.arch.json`` beside the test.
            lock: The lock of another repository, as a path from the rootdir or an https address.
            waive: Why the team accepts what differs.

        Returns:
            The ``torchproof.Architecture``.
        """
        __tracebackhide__ = True
        import torchproof
        from torchproof.testing import contract

        held = contract.hold(
            torchproof.architecture(model, example),
            name=name,
            lock=lock,
            test=self._item.path,
            root=self._item.config.rootpath,
            update=self.update,
            waive=waive,
        )
        self._emit("fingerprint", kind="architecture", name=name, value=held.fingerprint)
        if held.finding and self._record_findings([held.finding]):
            pytest.fail(contract.failure(held.finding))
        return held.architecture

    def handover(self, train: Any, serve: str, *, inputs: Any, **options: Any) -> Any:
        """Train, save, load in a fresh process as the service does, and compare the answers.

        Args:
            train: Returns the trained model, or is it.
            serve: The service's ``module:name``, a function ``(path) -> predict``.
            inputs: What both are asked: tensors, texts, numbers, or lists of these.
            **options: See `torchproof.testing.handover.handover`: ``name``, ``within``,
                ``predict``, ``save``, ``python``.

        Returns:
            The ``Handover``: how far the answers are apart.
        """
        __tracebackhide__ = True
        from torchproof.testing.handover import handover

        return handover(self, self._item, self._emit, train, serve, inputs=inputs, **options)

    def stream(self, name: str, device: str = "cpu") -> Any:
        """Return a named random stream as a ``torch.Generator``: a draw moves no other stream."""
        return self._streams.torch(name, device)

    def numpy(self, name: str) -> Any:
        """Return a named random stream as a ``numpy.random.Generator``."""
        return self._streams.numpy(name)

    def python(self, name: str) -> random.Random:
        """Return a named random stream as a ``random.Random``."""
        return self._streams.python(name)

    @contextmanager
    def globally(self, name: str) -> Iterator[None]:
        """Let python, numpy and torch draw from a named stream inside the block.

        A second block of the same name goes on where the first stopped; outside, nothing moved.
        """
        with self._streams.globally(name):
            yield

    def init(self) -> Any:
        """Draw initial weights from the stream ``init`` inside the block."""
        return self.globally("init")

    def data(self) -> Any:
        """Draw and shuffle data from the stream ``data`` inside the block."""
        return self.globally("data")

    def dropout(self) -> Any:
        """Draw dropout masks from the stream ``dropout`` inside the block."""
        return self.globally("dropout")

    def _record_findings(self, findings: Sequence[Any]) -> str:
        """Record findings and return what the test fails with, empty if it does not."""
        for finding in findings:
            self._emit("finding", test=self._test, **dataclasses.asdict(finding))
            if finding.severity == "warning" and not finding.waived:
                place = finding.location or self._test
                note(self._item, f"warning: {place}: {finding.message} [{finding.rule}]")
        errors = [each for each in findings if each.severity == "error" and not each.waived]
        return explain(errors) if errors else ""


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        what = f"a name is {name!r:.60}"
        raise UsageError(what, f"Give a text of 1 to {MAX_NAME} characters.")
    return name


def _number(name: str, value: Any) -> float:
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"the metric {name!r} is {type(value).__name__}, not one number"
        raise UsageError(what, "Give a number or a tensor with one element.") from error


def _better(better: Any) -> Optional[str]:
    if better not in ("lower", "higher", None):
        raise UsageError(f"better is {better!r:.60}", 'Give "lower", "higher" or None.')
    return better if better is None else str(better)


def _unit(unit: Any) -> str:
    if not isinstance(unit, str) or len(unit) > MAX_UNIT:
        raise UsageError(f"unit is {unit!r:.60}", f"Give a text of at most {MAX_UNIT} characters.")
    return unit


def _tolerance(tolerance: Any) -> Union[float, str, None]:
    try:
        found: Union[float, str, None] = None if tolerance is None else parse_tolerance(tolerance)
    except ValueError as error:
        raise UsageError(f"tolerance {error}", 'Example: tolerance=0.01 or "2%".') from error
    return found
