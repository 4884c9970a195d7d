"""The action's place in a job: opens a seal and runs commands in it, on orders in JSON.

Runs in a container that is started as the runner starts a Docker action. Prints what came back as
JSON. The orders: seal, run_id, volume, and commands, each with argv and perhaps timeout and env.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from torchproof.run.child import ChildSeal
from torchproof.run.container import ContainerSeal
from torchproof.run.engine import Engine
from torchproof.run.seal import Command


class NoSeal:
    """What not to do: the control of the attacks."""

    secret_keys = ()
    results_here = Path("/nowhere")

    def run(self, command, *, on_output):
        done = subprocess.run(
            command.argv, cwd="/github/workspace", stdout=subprocess.PIPE, check=False
        )
        on_output(done.stdout)
        return done

    def close(self):
        pass


def opened(orders):
    place = {"workspace": Path("/github/workspace"), "run_id": orders["run_id"]}
    if orders["seal"] == "container":
        return ContainerSeal(Engine(), **place, cache_volume=orders["volume"])
    return ChildSeal(**place) if orders["seal"] == "child" else NoSeal()


def carry_out(seal, order):
    output = []
    command = Command(
        argv=tuple(order["argv"]), timeout=order.get("timeout"), env=order.get("env", {})
    )
    done = seal.run(command, on_output=output.append)
    told = vars(done) if isinstance(seal, (ContainerSeal, ChildSeal)) else {}
    return {**told, "output": b"".join(output).decode()}


def main():
    orders = json.loads(sys.argv[1])
    seal = opened(orders)

    def cancelled(number, frame):
        seal.close()
        sys.exit(130)

    signal.signal(signal.SIGINT, cancelled)
    done = [carry_out(seal, order) for order in orders["commands"]]
    results = {path.name: path.read_text() for path in seal.results_here.glob("*")}
    seal.close()
    told = {"done": done, "results": results, "secret_keys": seal.secret_keys}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
