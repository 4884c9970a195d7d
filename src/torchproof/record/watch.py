"""The record of a run, settled at its end however it ended.

`start` begins a small process that waits on a pipe whose other end only the test process holds.
The kernel closes that end when the test process is gone, by a segfault, ``os._exit`` or SIGKILL
too; then the watcher folds the events into the record, unless the test process did so itself.

The watcher keeps the standard output and error of its parent: who captures a crashed run's output
waits for both, and finds the record written. It leads a session of its own, so that a signal to the
test process's group spares it. POSIX only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable


MAX_WAIT = 30.0  # seconds; a watcher that is let go has nothing left to do


def start(events: Path, record: Path, tier: str) -> Callable[[], None]:
    """Start the watcher; must be called where stdout and stderr are the caller's own.

    Returns:
        A function that lets the watcher go and waits until it is gone.
    """
    read, write = os.pipe()
    here = [sys.executable, "-I", "-S", __file__, str(read), str(events), str(record), tier]
    watcher = subprocess.Popen(
        here, pass_fds=[read], stdin=subprocess.DEVNULL, start_new_session=True
    )
    os.close(read)
    ends = [write]

    def forget() -> None:
        while ends:
            os.close(ends.pop())

    def let_go() -> None:
        forget()
        watcher.wait(timeout=MAX_WAIT)

    # A forked child, such as a DataLoader worker, may live on when the test process is gone.
    os.register_at_fork(after_in_child=forget)
    return let_go


def settle(events: Path, record: Path, tier: str) -> None:
    """Fold the events into the record file, which is there as a whole or not at all."""
    from torchproof.record import dumps, fold_file

    partial = record.with_name(f"{record.name}.{os.getpid()}.partial")
    partial.write_bytes(dumps(fold_file(events, tier=tier)))
    partial.replace(record)


def main(pipe: str, events: str, record: str, tier: str) -> None:
    """Wait until the test process is gone, then settle its record if it did not."""
    while os.read(int(pipe), 1):
        pass
    if not Path(record).exists():
        settle(Path(events), Path(record), tier)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(*sys.argv[1:])
