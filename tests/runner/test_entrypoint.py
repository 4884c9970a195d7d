"""PID 1 of the container: how it ends, in real docker and under the runner's signal timing."""

from __future__ import annotations

import pytest


pytestmark = pytest.mark.docker


def start(toy, what):
    step = toy.start("push", {}, inputs={"what": what})
    step.wait_for("started")
    return step


def test_a_cancelled_program_that_stops_on_sigterm_is_gone_at_once(toy):
    result = start(toy, "stop_politely").cancel()
    assert result.exit_code == 130
    assert not result.client_killed
    assert result.leftovers == ()


def test_a_cancelled_program_that_ignores_signals_is_killed_before_the_runner_gives_up(toy):
    result = start(toy, "never_stop").cancel()
    assert result.exit_code == 130
    assert not result.client_killed
    assert result.leftovers == ()
    assert "did not stop within 5 s" in result.log


def test_running_out_of_memory_is_said_in_a_sentence(toy):
    result = toy.run("push", {}, inputs={"what": "run_out_of_memory"})
    assert result.exit_code == 137
    (command,) = result.commands
    assert command.name == "error"
    assert "SIGKILL: the machine ran out of memory" in command.data


def test_a_daemon_does_not_outlive_the_step(toy):
    result = toy.run("push", {}, inputs={"what": "leave_a_daemon"})
    assert result.exit_code == 0
    assert result.seconds < 30
    assert result.leftovers == ()


def test_orphans_are_reaped(toy):
    result = toy.run("push", {}, inputs={"what": "make_orphans"})
    assert result.outputs["zombies"] == "0"


def test_the_token_in_the_environment_of_pid_1_cannot_be_read(toy):
    assert "refused" in toy.run("push", {}, inputs={"what": "read_the_token_of_pid_1"}).log
