"""Stands where torchproof's own program stands, and does what the input ``what`` names."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def succeed():
    append("GITHUB_OUTPUT", "passed=true\nlong<<END\none\ntwo\nEND\n")
    append("GITHUB_STATE", "CONTAINER=abc\n")
    append("GITHUB_STEP_SUMMARY", "# fine\n")
    say("::notice::proved")


def environment():
    append("GITHUB_OUTPUT", f"environment={json.dumps(dict(os.environ))}\n")


def fail():
    sys.exit(1)


def run_out_of_memory():
    os.kill(os.getpid(), signal.SIGKILL)


def leave_files():
    Path("left").mkdir()
    Path("left/file").touch()


def write_too_much():
    append("GITHUB_STEP_SUMMARY", "x" * (1024 * 1024 + 1))


def stop_politely():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    sleep()


def never_stop():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sleep()


def leave_a_daemon():
    subprocess.Popen(["sleep", "600"], start_new_session=True)


def make_orphans():
    for _ in range(20):
        subprocess.run(["sh", "-c", "(sleep 0.01 &)"], check=True)
    time.sleep(1.0)
    states = [stat.read_text().split()[2] for stat in Path("/proc").glob("[0-9]*/stat")]
    append("GITHUB_OUTPUT", f"zombies={states.count('Z')}\n")


def read_the_token_of_pid_1():
    try:
        Path("/proc/1/environ").read_bytes()
    except PermissionError:
        say("refused")


def sleep():
    say("started")
    for _ in range(600):
        time.sleep(0.1)


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def append(variable, text):
    with open(os.environ[variable], "a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["post"]:
        say(f"post step with state {os.environ['STATE_CONTAINER']}")
    else:
        globals()[os.environ["INPUT_WHAT"]]()
