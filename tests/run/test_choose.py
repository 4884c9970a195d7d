"""Which seal a host gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchproof.errors import ConfigError, HostError, TrustError
from torchproof.run.choose import (
    Choice,
    Host,
    choose,
    look,
    open_seal,
    passed_env,
    runner_directories,
)
from torchproof.run.engine import Engine


IN_DOCKER = Host(engine=True, root=True, image="sha256:1")
DOCKER_HOST = Host(engine=True, root=False)
ROOT = Host(engine=False, root=True, no_engine="no socket")
NOBODY = Host(engine=False, root=False, no_engine="no socket")


@pytest.mark.parametrize(
    ("host", "secrets", "expected"),
    [
        (IN_DOCKER, True, "container"),
        (IN_DOCKER, False, "container"),
        (ROOT, True, "child"),
        (ROOT, False, "open"),
        (NOBODY, False, "open"),
        (DOCKER_HOST, False, "open"),
    ],
)
def test_what_the_host_offers_decides(host, secrets, expected):
    choice = choose(host, secrets_present=secrets)
    assert choice.name == expected
    assert choice.why


def test_a_named_image_means_a_container():
    choice = choose(DOCKER_HOST, secrets_present=True, image="team/torch:1")
    assert choice == Choice(name="container", why="the settings name the image team/torch:1")


@pytest.mark.parametrize("host", [NOBODY, DOCKER_HOST])
def test_tests_never_run_beside_a_token(host):
    with pytest.raises(TrustError) as caught:
        choose(host, secrets_present=True)
    assert "image" in caught.value.remedy
    with pytest.raises(TrustError):
        choose(host, wanted="open", secrets_present=True)


@pytest.mark.parametrize(
    ("host", "wanted", "image", "error", "words"),
    [
        (ROOT, "container", None, HostError, "needs a docker engine .no socket"),
        (ROOT, "auto", "team/torch", HostError, "needs a docker engine"),
        (DOCKER_HOST, "container", None, HostError, "needs an image"),
        (NOBODY, "child", None, HostError, "needs root"),
        (IN_DOCKER, "child", "team/torch", ConfigError, "an image needs a container"),
        (IN_DOCKER, "jail", None, ConfigError, "'jail' is not a seal"),
    ],
)
def test_what_the_host_cannot_do_is_an_error_with_a_remedy(host, wanted, image, error, words):
    with pytest.raises(error, match=words) as caught:
        choose(host, wanted=wanted, secrets_present=False, image=image)
    assert caught.value.remedy


def test_a_host_without_an_engine_says_why(tmp_path):
    host = look(Engine(tmp_path / "docker.sock"))
    assert not host.engine
    assert "No such file" in host.no_engine


def test_the_open_seal_can_be_opened_without_an_engine(tmp_path):
    laid = []
    seal = open_seal(
        Choice(name="open", why=""),
        Engine(tmp_path / "docker.sock"),
        workspace=tmp_path,
        run_id=tmp_path.name,
        lay_plugin=laid.append,
        environ={"HOME": str(tmp_path)},
    )
    assert (seal.name, [Path(seal.plugin)]) == ("open", laid)
    seal.close()


def test_named_variables_are_passed():
    environ = {"HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/ca.pem", "OTHER": "1"}
    names = ["HTTPS_PROXY", "SSL_CERT_FILE", "NOT_SET"]
    assert passed_env(names, environ).keys() == {"HTTPS_PROXY", "SSL_CERT_FILE"}


@pytest.mark.parametrize(
    "name", ["INPUT_GITHUB-TOKEN", "GITHUB_ENV", "ACTIONS_X", "HF_TOKEN", "my_secret"]
)
def test_secrets_are_not_passed_even_if_the_settings_name_them(name):
    with pytest.raises(TrustError, match=name):
        passed_env([name], {name: "1"})


def test_all_directories_of_the_runner_are_named():
    environ = {
        "RUNNER_TEMP": "/w/_temp",
        "GITHUB_WORKSPACE": "/github/workspace",
        "GITHUB_ENV": "/w/_temp/files/env",
    }
    expected = [Path("/github"), Path("/w/_temp"), Path("/w/_temp/files")]
    assert runner_directories(environ) == expected
