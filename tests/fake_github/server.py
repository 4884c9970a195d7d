"""Run the fake GitHub as a program of its own, for tests with containers.

    python tests/fake_github/server.py --port 8080 --host 0.0.0.0 --name 172.17.0.1 --state DIR

It prints one line of JSON with its addresses and serves until it is ended. ``DIR/state.json`` holds
all that happened; ``POST /_fake/state``, ``/_fake/fail`` and ``/_fake/repository``, ``token``,
``pull``, ``comment``, ``workflow`` take the arguments of `World`'s methods as a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fake_github.http_server import FakeGitHub


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--flavour", default="github.com", choices=("github.com", "ghes"))
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--name", default="", help="host name that clients use")
    options.add_argument("--state", type=Path, required=True)
    chosen = options.parse_args()
    chosen.state.mkdir(parents=True, exist_ok=True)
    github = FakeGitHub(
        flavour=chosen.flavour,
        directory=chosen.state.resolve(),
        host=chosen.host,
        port=chosen.port,
        name=chosen.name,
    )
    print(json.dumps({"url": github.url, "api_url": github.api_url}), flush=True)  # noqa: T201 a program
    github.server.serve_forever()


if __name__ == "__main__":
    main()
