"""Where a session's events go: nowhere, to a file, or to a file that becomes the run record."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    import pytest

    from torchproof.testing.session import Session


def is_worker(config: pytest.Config) -> bool:
    """Return True in a pytest-xdist worker."""
    return hasattr(config, "workerinput")


def start(config: pytest.Config, session: Session) -> Callable[..., None]:
    """Open the events file the options ask for and register what writes to it.

    Returns:
        A function that writes one event, or does nothing where none are wanted.

    Raises:
        UsageError: The file cannot be written.
    """
    record, events = _paths(config)
    if events is None:
        return _nothing
    # Imported only here: a session that records nothing should not pay for it.
    from torchproof.record import EventWriter
    from torchproof.testing.recorder import SessionRecorder, TestRecorder

    if not is_worker(config):
        _make_room(events, record)
    emit = EventWriter(events).write
    register = config.pluginmanager.register
    register(TestRecorder(emit), "torchproof-test-recorder")
    if not is_worker(config):
        finish = _watch(config, session, events, record) if record else _nothing
        recorder = SessionRecorder(emit, config, session, events=events, finish=finish)
        register(recorder, "torchproof-session-recorder")
    return emit


def _nothing(*_: Any, **__: Any) -> None:
    """Stand where events are not wanted."""


def _paths(config: pytest.Config) -> tuple[Optional[Path], Optional[Path]]:
    """Return the paths of record and events; a worker is told what its controller resolved."""
    options = config.option
    if is_worker(config):
        told = config.workerinput.get("torchproof_events")  # type: ignore[attr-defined]
        return None, Path(told) if told else None
    here = config.invocation_params.dir
    record = here / options.torchproof_record if options.torchproof_record else None
    events = here / options.torchproof_events if options.torchproof_events else None
    if record is not None and events is None:
        events = record.parent / f"{record.name}.events"
    return record, events


def _make_room(events: Path, record: Optional[Path]) -> None:
    """Remove what an earlier run left: a run that dies must not show its results."""
    try:
        if record is not None:
            record.parent.mkdir(parents=True, exist_ok=True)
            record.unlink(missing_ok=True)
        events.parent.mkdir(parents=True, exist_ok=True)
        events.write_bytes(b"")
    except OSError as error:
        place = str(error.filename or events)
        remedy = "Name a file that can be written."
        raise UsageError(f"cannot write: {error.strerror}", remedy, where=place) from error


def _watch(
    config: pytest.Config, session: Session, events: Path, record: Path
) -> Callable[[], None]:
    """Start the watcher; return what settles the record at a normal end."""
    from torchproof.record import watch

    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        let_go = watch.start(events, record, session.tier_name)
    config.add_cleanup(let_go)

    def finish() -> None:
        watch.settle(events, record, session.tier_name)
        if config.option.torchproof_events is None:
            events.unlink()

    return finish
