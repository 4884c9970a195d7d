"""What a pull request breaks between people stands in the first line of its comment.

The example `digits` with its labels under DVC: another activation, another version of the data,
and a capability that the trained model loses.
"""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from tests.end_to_end.digits import Digits, a_project
from tests.end_to_end.warm_python import warm_python


LABELS = "data/labels.json"
READ = (
    "torch.tensor(digits.target)",
    'torch.tensor(json.loads(Path("data/labels.json").read_text()))',
)
IMPORTS = (
    "from typing import NamedTuple",
    "import json\nfrom pathlib import Path\nfrom typing import NamedTuple",
)


class Versioned(Digits):
    """The project with its labels under DVC; ``versions`` is the remote, by hash."""

    def __init__(self, directory, github, **options):
        from sklearn.datasets import load_digits

        self.versions = {}
        self.labels = load_digits().target.tolist()
        super().__init__(directory, github, **options)
        code = self.edit("digits/data.py", IMPORTS, READ)
        ignored = {".gitignore": self.read(".gitignore") + f"/{LABELS}\n"}
        self.commit("main", {**code, **ignored, **self.version(self.labels)})

    def version(self, labels):
        """Put labels into the remote and return the file that locks them."""
        text = json.dumps(labels)
        md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        self.versions[md5] = text
        (self.work / "data").mkdir(exist_ok=True)
        out = f"- md5: {md5}\n  size: {len(text)}\n  hash: md5\n  path: labels.json\n"
        return {f"{LABELS}.dvc": f"outs:\n{out}"}

    def act(self, event, inputs):
        """Do what ``dvc pull`` does in the step before."""
        lock = self.git("show", f"{event.sha}:{LABELS}.dvc")
        md5 = re.search(r"md5: (\w+)", lock)[1]
        (self.work / LABELS).write_text(self.versions[md5])
        return super().act(event, inputs)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Give the project after a push to main."""
    directory = tmp_path_factory.mktemp("digits")
    with (
        warm_python(tmp_path_factory.mktemp("warm")) as python,
        a_project(directory, project=Versioned, tiers="unit integration", python=python) as project,
    ):
        assert project.push(inputs=project.inputs).exit_code == 0
        yield project


def test_another_activation_is_named(digits):
    changes = [
        (
            f"self.norm{n}(self.conv{n}(x)).relu()",
            f"nn.functional.leaky_relu(self.norm{n}(self.conv{n}(x)))",
        )
        for n in (1, 2)
    ]
    answer = digits.change(1, digits.edit("digits/model.py", *changes))
    assert answer.exit_code == 1
    assert digits.first_line(1) == (
        "### ❌ torchproof: 1 of 15 checks fails: the architecture "
        "`digit-net: function changed: relu → leaky_relu in the model itself`"
    )
    assert "`clean` | `found`" in digits.row(1, "❌ failed", "`architecture-changed`")
    assert "pytest --torchproof-update, commit the lock" in digits.comment(1)


def test_another_version_of_the_data_is_named(digits):
    """Of the first 300 images each has the label of the next."""
    wrong = digits.labels[1:301] + digits.labels[300:]
    answer = digits.change(2, digits.version(wrong))
    assert answer.exit_code == 1
    line = digits.first_line(2)
    assert "`val/accuracy` is worse" in line
    assert line.endswith("; data changed")
    assert digits.row(2, "❌ worse", "`val/accuracy`")
    assert "What differs from the baseline, likeliest cause first: data (`" in digits.comment(2)
    assert digits.row(2, "≠", "`data data/labels.json`")


def test_data_that_changed_without_harm_are_named_too(digits):
    """One image of the training split gets another label."""
    labels = [*digits.labels[:-1], (digits.labels[-1] + 1) % 10]
    answer = digits.change(3, digits.version(labels))
    assert answer.exit_code == 0
    assert re.fullmatch(
        r"### ✅ torchproof: 1\d checks pass, (1 undecided, )?data changed", digits.first_line(3)
    )


def test_a_capability_that_is_lost_is_named_with_its_rate(digits):
    """Thinner strokes: what is a little darker loses them."""
    answer = digits.change(4, digits.edit("digits/train.py", ('batch["x"]', 'batch["x"] ** 4')))
    assert answer.exit_code == 1
    named = r"checks? fails?: (.*, )?the capability `brightness` fails for \d\d % of its inputs"
    assert re.search(named, digits.first_line(4))
    assert "`brightness (INV): " in digits.row(4, "`test_the_light_does_not_matter`")
    assert "`brightness` in `test_the_light_does_not_matter`" in digits.comment(4)
