"""The progress line of `overfit`: for people at a terminal only."""

import os
import pty
import subprocess
import sys
from io import StringIO
from itertools import count

import pytest
import zoo

import torchproof
from torchproof.proofs.progress import progress


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_how_far_it_has_come_and_then_nothing():
    terminal = Terminal()
    with progress(4, stream=terminal, clock=count().__next__) as advance:
        advance(1, 0.5)
        advance(2, 0.25)
    lines = terminal.getvalue().split("\r\033[K")
    assert lines[1] == "overfit [######..................] 1/4 loss 0.5"
    assert lines[2] == "overfit [############............] 2/4 loss 0.25"
    assert lines[-1] == ""


def test_the_line_changes_ten_times_a_second_at_most():
    terminal = Terminal()
    seconds = count(0, 0.01)
    with progress(100, stream=terminal, clock=lambda: next(seconds)) as advance:
        for step in range(1, 51):
            advance(step, 1.0)
    assert 3 <= terminal.getvalue().count("overfit") <= 6


def test_the_terminal_is_cleared_when_the_step_fails():
    terminal = Terminal()
    with pytest.raises(KeyError), progress(4, stream=terminal, clock=count().__next__) as advance:
        advance(1, {}[0])
    assert terminal.getvalue().endswith("\r\033[K")


def test_what_is_no_terminal_stays_silent():
    log = StringIO()
    with progress(2, stream=log) as advance:
        advance(1, 0.5)
    assert not log.getvalue()


def test_pytest_captures_nothing_of_it(capfd):
    torchproof.overfit(zoo.plain_mlp, steps=3)
    assert capfd.readouterr().err == ""


SCRIPT = """
import time, torch, torchproof
def build():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    def step(batch):
        time.sleep(0.15)
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        loss.backward()
        optimizer.step()
        return loss
    return torchproof.Trainee(model, torch.ones(2, 2), step)
torchproof.overfit(build, steps=3)
"""


def test_a_real_terminal_sees_it_on_standard_error():
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert not done.stdout
    assert "] 2/3 loss " in shown
    assert shown.endswith("\r\033[K")
