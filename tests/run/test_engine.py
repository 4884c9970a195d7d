"""The engine client against a real engine, and what it says when there is none."""

from __future__ import annotations

import json
import os
import socket
import uuid
from pathlib import Path, PurePosixPath

import pytest
from tests.images import base_image

from torchproof.errors import HostError
from torchproof.run.engine import Engine, own_id


ID = "0123456789abcdef" * 4
LABEL = "torchproof.test"


@pytest.fixture
def create(engine):
    mine = uuid.uuid4().hex

    def one(*argv):
        host = {"NetworkMode": "none"}
        labels = {LABEL: mine}
        spec = {"Image": base_image(), "Entrypoint": argv, "Labels": labels, "HostConfig": host}
        return engine.create(spec)

    yield one
    for container in engine.list({LABEL: mine}):
        engine.remove(container["Id"], force=True)


@pytest.mark.docker
def test_a_container_from_creation_to_removal(engine, create):
    container = create("sh", "-c", "echo out; echo err >&2; exit 3")
    engine.start(container)
    assert engine.wait(container) == 3
    assert sorted(b"".join(engine.logs(container)).splitlines()) == [b"err", b"out"]
    assert engine.inspect(container)["State"]["Status"] == "exited"
    engine.remove(container)
    with pytest.raises(HostError, match="No such container"):
        engine.inspect(container)


@pytest.mark.docker
def test_attached_output_comes_as_it_is_written_and_whole(engine, create):
    container = create("python3", "-c", "print('x' * 1_000_000)")
    output = engine.attach(container)
    engine.start(container)
    assert sum(map(len, output)) == 1_000_001


@pytest.mark.docker
def test_a_running_container_is_found_by_label_and_killed(engine, create):
    container = create("sleep", "600")
    engine.start(container)
    labels = engine.inspect(container)["Config"]["Labels"]
    assert [found["Id"] for found in engine.list(labels)] == [container]
    assert container in [found["Id"] for found in engine.list({LABEL: None})]
    engine.kill(container)
    assert engine.wait(container) == 137


@pytest.mark.docker
def test_a_missing_image_is_an_error_with_a_remedy(engine):
    with pytest.raises(HostError, match="No such image") as caught:
        engine.create({"Image": "torchproof-no-such-image"})
    assert caught.value.remedy


@pytest.mark.docker
def test_an_image_that_is_there_is_not_fetched_and_one_that_nobody_has_is_an_error(engine):
    engine.pull(base_image())
    with pytest.raises(HostError, match="refused"):
        engine.pull("127.0.0.1:9/torchproof/none")


@pytest.mark.docker
def test_on_a_host_no_container_is_ours_and_paths_are_host_paths(engine):
    assert engine.me() is None
    assert engine.host_path(Path("/a/b")) == "/a/b"
    assert engine.info()["OSType"] == "linux"


@pytest.mark.docker
def test_in_a_container_we_know_ourselves_and_the_host_path_of_our_files(job):
    code = (
        "import json; from pathlib import Path; from torchproof.run.engine import Engine\n"
        "e = Engine(); me = e.me()\n"
        "print(json.dumps([me.image, me.labels, me.network, e.host_path(Path('/github/home/x')),"
        " e.host_path(Path('/github/workspace'))]))\n"
        "e.host_path(Path('/etc/passwd'))"
    )
    with job.container("python3", "-c", code) as client:
        out, err = client.communicate(timeout=60)
    image, labels, network, home, workspace = json.loads(out)
    assert image.startswith("sha256:")
    assert labels == {"a1b2c3": ""}
    assert network == "none"
    assert PurePosixPath(home) == job.temp / "_github_home/x"
    assert PurePosixPath(workspace) == job.workspace
    assert "/etc/passwd: it is not on a volume of this container" in err


def test_an_engine_that_is_not_there_gets_a_remedy(tmp_path):
    with pytest.raises(HostError, match="No such file") as caught:
        Engine(tmp_path / "docker.sock").info()
    assert "Start docker" in caught.value.remedy
    assert str(tmp_path / "docker.sock") in str(caught.value)


def test_an_engine_that_does_not_listen_is_an_error(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        with pytest.raises(HostError, match="Connection refused"):
            Engine(tmp_path / "docker.sock").list({})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_of_somebody_else_names_the_group(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        (tmp_path / "docker.sock").chmod(0)
        with pytest.raises(HostError, match="Permission denied") as caught:
            Engine(tmp_path / "docker.sock").info()
    assert "group" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"9 8 0:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda rw",
            ID,
        ),
        (f"9 8 0:1 /x/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - x y z", ID),
        (f"9 8 0:1 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw", None),
        ("9 8 0:1 / / rw - ext4 /dev/sda rw", None),
    ],
)
def test_our_own_id_stands_in_the_mounts(line, expected):
    assert own_id(f"1 0 0:9 / / rw - overlay overlay rw\n{line}\n") == expected
