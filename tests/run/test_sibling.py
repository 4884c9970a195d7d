"""What the engine is told about a sealed container."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from torchproof.run.engine import Me
from torchproof.run.scratch import Owner
from torchproof.run.seal import Command
from torchproof.run.sibling import Sibling, description, signed
from torchproof.run.unix_http import refusal


ME = Me(id="f00", image="sha256:1", labels={}, mounts=(), network="github_network_1")


def told(command=None, *, me=ME, **options):
    sibling = Sibling(
        me=me,
        image="sha256:1",
        owner=Owner(uid=1001, gid=121),
        workspace=PurePosixPath("/github/workspace"),
        labels={"torchproof.run": "1"},
        env={},
        memory=options.get("memory"),
        network=options.get("network"),
    )
    return description(sibling, command or Command(argv=("true",)), [])


def test_nothing_is_left_of_roots_powers():
    host = told()["HostConfig"]
    assert told()["User"] == "1001:121"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert "Privileged" not in host
    assert host["PidMode"] == "container:f00"


def test_the_tests_reach_the_services_of_their_job_unless_told_otherwise():
    assert told()["HostConfig"]["NetworkMode"] == "github_network_1"
    assert told(network="none")["HostConfig"]["NetworkMode"] == "none"
    assert told(me=None)["HostConfig"]["NetworkMode"] == "default"


def test_a_gpu_is_asked_for_by_its_uuid_and_none_is_given_unasked():
    with_gpu = told(Command(argv=("true",), gpu="GPU-7b1d"))
    (request,) = with_gpu["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("nvidia", ["GPU-7b1d"])
    assert "NVIDIA_VISIBLE_DEVICES=void" not in with_gpu["Env"]
    assert told()["HostConfig"]["DeviceRequests"] == []
    assert "NVIDIA_VISIBLE_DEVICES=void" in told()["Env"]


def test_an_engine_without_the_nvidia_toolkit_gets_a_remedy():
    error = refusal('could not select device driver "nvidia" with capabilities: [[gpu]]')
    assert "NVIDIA container toolkit" in error.remedy


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (137, -9), (139, -11), (255, 255)])
def test_the_engines_exit_code_names_the_signal(code, expected):
    assert signed(code) == expected
