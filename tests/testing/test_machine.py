"""What the tests run on is told from files alone."""

from __future__ import annotations

import json

import pytest

from torchproof.testing import machine


@pytest.mark.parametrize(
    ("visible", "found"), [(None, 2), ("0", 2), ("", 0), ("-1", 0), ("NoDevFiles", 0)]
)
def test_gpus_are_device_files_that_cuda_may_see(tmp_path, visible, found):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "null"):
        (tmp_path / name).touch()
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert len(machine.gpus(environ, str(tmp_path))) == found


def test_a_torch_without_cuda_runs_on_the_cpu():
    assert {machine.device(version) for version in ("none", "2.13.0+cpu")} == {"cpu"}


def test_a_package_that_is_not_there_has_no_version():
    assert machine.version("no-such-package-anywhere") == "none"


def test_the_digest_changes_with_packages_and_not_with_the_project_itself(tmp_path):
    (tmp_path / "numpy-2.0.dist-info").mkdir()
    plain = machine.packages_digest([tmp_path])
    own = tmp_path / "project-0.1.dev5.dist-info"
    own.mkdir()
    (own / "direct_url.json").write_text(json.dumps({"dir_info": {"editable": True}, "url": "x"}))
    assert machine.packages_digest([tmp_path]) == plain
    (tmp_path / "torch-2.4.dist-info").mkdir()
    assert machine.packages_digest([tmp_path]) != plain
