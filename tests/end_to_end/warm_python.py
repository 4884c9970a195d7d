"""An interpreter that has imported torch already: it forks what it is asked to run.

To import torch, its optimizers and scikit-learn takes ten times as long as to train the example's
net. The file is both ends: ``serve`` listens on a socket, and whoever runs ``SOCKET.py`` in place
of python gets the answer of a fork with its own arguments, environment, directory and output.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path


WARM = ("torch", "torch._dynamo", "sklearn.datasets", "pytest")
OUTPUT = (1, 2)
MESSAGE = 1 << 20
CLIENT = """\
#!{python} -IS
import sys
sys.path.insert(0, {here!r})
from warm_python import ask
sys.exit(ask({address!r}))
"""


@contextmanager
def warm_python(directory):
    """Give an executable that runs Python as this interpreter would, without the imports."""
    address, client = str(directory / "warm.sock"), directory / "python"
    here = str(Path(__file__).parent)
    client.write_text(CLIENT.format(python=sys.executable, here=here, address=address))
    client.chmod(0o755)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([sys.executable, __file__, address], env=env, cwd=directory)
    try:
        while not Path(address).exists():
            assert server.poll() is None, "the warm interpreter ended"
            time.sleep(0.05)
        yield str(client)
    finally:
        server.kill()
        server.wait()


def ask(address):
    """Have this process's command run by a fork of the server; return its exit code."""
    request = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": str(Path.cwd())}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(request).encode()], OUTPUT)
        return int(connection.recv(16).decode() or 1)


def serve(address):
    """Answer one request after the other."""
    for name in WARM:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        while True:
            connection, _ = door.accept()
            with connection:
                data, descriptors, *_ = socket.recv_fds(connection, MESSAGE, len(OUTPUT))
                child = os.fork()
                if not child:
                    door.close()
                    _run(json.loads(data), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                connection.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _run(request, descriptors):
    """Become ``python -m MODULE …``, and end."""
    for descriptor, standard in zip(descriptors, OUTPUT, strict=True):
        os.dup2(descriptor, standard)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    _, module, *arguments = request["argv"]
    sys.argv = [module, *arguments]
    sys.path[0:1] = [request["cwd"], *request["env"].get("PYTHONPATH", "").split(":")]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
