"""A real git history of a tiny project: its test records a noisy number that one commit made worse.

The first-parent line has 32 commits. Commit 20 is guilty; 12 is the merge of a branch of two; the
test of 25 cannot be imported. ``level.txt`` says how good a commit is; the noise comes from the
seed, as in a real training.
"""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.samples import CPU, metric, record

from torchproof.history.store import History
from torchproof.record import Source
from torchproof.run.tier import hardware


TEST = """
import random
from pathlib import Path

def test_quality(proof):
    level = float(Path(__file__).with_name("level.txt").read_text())
    proof.metric("loss", random.gauss(level, 0.1), better="lower")
"""
# Of the plugins that are installed here, the project needs none.
SETTINGS = 'env = { PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1" }\n'
BROKEN = "import a_module_that_is_not_there\n"
GUILTY, MERGE, UNBUILDABLE, LENGTH = 20, 12, 25, 32
GOOD_LEVEL, WORSE_LEVEL = 1.0, 1.4


class MetricProject:
    """The history is written into a `Scene`; ``commits`` are the first-parent line."""

    def __init__(self, scene, *, guilty=GUILTY):
        self.scene = scene
        fast_import = ["git", "fast-import", "--quiet"]
        subprocess.run(fast_import, cwd=scene.work, input=_stream(guilty), text=True, check=True)
        scene.git("reset", "-q", "--hard", "main")
        self.commits = scene.git("rev-list", "--first-parent", "--reverse", "main").split()[1:]
        scene.git("push", "-q", "origin", "main")

    def store(
        self, numbers, *, level=None, seed=0, environment=None, event="push", late=0, tier="unit"
    ):
        """Store a run of some commits, as if it had been made when they were new, or ``late``
        minutes after."""
        noise = random.Random(f"{numbers}{seed}")
        how = {"seed": seed, "environment": environment, "event": event, "late": late}
        how |= {"tier": tier}
        made = []
        for number in numbers:
            mean = level or (WORSE_LEVEL if number >= GUILTY else GOOD_LEVEL)
            made.append(self._record(number, noise.gauss(mean, 0.1), **how))
        with History(str(self.scene.origin)) as history:
            history.append(made)

    def store_seeds(self, number, seeds, *, event="schedule"):
        """Store runs of one commit with several seeds."""
        level = WORSE_LEVEL if number >= GUILTY else GOOD_LEVEL
        how = {"environment": None, "event": event, "late": 0, "tier": "unit"}
        with History(str(self.scene.origin)) as history:
            history.append(
                self._record(number, random.Random(seed).gauss(level, 0.1), seed=seed, **how)
                for seed in seeds
            )

    def _record(self, number, value, *, seed, environment, event, late, tier):
        commit = self.commits[number]
        at = datetime.now(UTC) - timedelta(days=1, minutes=LENGTH - number - late)
        made = record(
            metric("loss", value, test="test_quality.py::test_quality", better="lower"),
            started=at.isoformat(timespec="seconds"),
            seed=seed,
            tier=tier,
            source=Source("ada/digits", commit, commit, "main", event, f"{100 + number}"),
        )
        facts = {**made.fingerprint, "hardware": {**CPU, **hardware(None)}}
        return replace(made, fingerprint={**facts, **(environment or {})})


def _stream(guilty):
    """Write the commits for git fast-import, which makes them all at once."""
    parts, line = [], "refs/heads/main^0"
    for number in range(LENGTH):
        files = {"level.txt": f"{WORSE_LEVEL if number >= guilty else GOOD_LEVEL}\n"}
        merged, message = "", f"Commit {number}: change something"
        if number == MERGE:
            merged, message = f":{LENGTH + 2}", f"Commit {number}: merge a branch"
            for part, parent in enumerate((line, f":{LENGTH + 1}")):
                files[f"branch{part}.txt"] = "new\n"
                mark = f":{LENGTH + part + 1}"
                parts.append(_commit("branch", mark, f"Part {part} of a branch", parent, files))
        else:
            files["number.txt"] = f"{number}\n"
            files["test_quality.py"] = BROKEN if number == UNBUILDABLE else TEST
            files["torchproof.toml"] = SETTINGS
        mark = f":{number + 1}"
        parts.append(_commit("main", mark, message, line, files, merged=merged))
        line = mark
    return "".join(parts)


def _commit(branch, mark, message, parent, files, *, merged=""):
    head = f"commit refs/heads/{branch}\nmark {mark}\n"
    who = f"committer Ada <ada@example.org> {int(time.time())} +0000\n"
    parents = f"from {parent}\n" + (f"merge {merged}\n" if merged else "")
    changed = "".join(f"M 100644 inline {path}\n{_data(text)}" for path, text in files.items())
    return f"{head}{who}{_data(message)}{parents}{changed}"


def _data(text):
    return f"data {len(text.encode())}\n{text}\n"
