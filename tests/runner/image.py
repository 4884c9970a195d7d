"""The action's own image, built from this tree on a base image that needs no registry.

The Dockerfile knows nothing of the machine it is built on: what pip needs here (the certificate
bundle that this machine trusts, the index it asks) is put into the base image beforehand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from tests.images import base_image
from tests.runner.harness import HOST_NETWORK, build


ROOT = Path(__file__).parents[2]
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
NAME = "torchproof-test-action"

_PIP_CONF = """\
[global]
cert = {bundle}
index-url = {index}
"""
_DOCKERFILE = """\
FROM {base}
COPY pip.conf /etc/pip.conf
COPY *.crt {bundle}
"""


@lru_cache(maxsize=1)
def action_image() -> str:
    """Build the image of this tree's action as the runner does; returns its name.

    The name stays from build to build, so that the engine keeps the layers of one and no more.
    """
    built = build(ROOT, extra=(*HOST_NETWORK, "--build-arg", f"BASE={_base_with_pip_settings()}"))
    subprocess.run(["docker", "tag", built, NAME], check=True)
    subprocess.run(["docker", "rmi", built], check=True, capture_output=True)
    return NAME


def _base_with_pip_settings() -> str:
    tag = "torchproof-test-build-base"
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(BUNDLE, folder)
        (Path(folder) / "pip.conf").write_text(_PIP_CONF.format(bundle=BUNDLE, index=index))
        (Path(folder) / "Dockerfile").write_text(
            _DOCKERFILE.format(base=base_image(), bundle=BUNDLE)
        )
        subprocess.run(
            ["docker", "build", "-q", "-t", tag, folder],
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            check=True,
            capture_output=True,
        )
    return tag
