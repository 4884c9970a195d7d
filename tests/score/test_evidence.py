"""What is looked for is a call that does something, found where pytest would find it."""

from __future__ import annotations

import pytest

from torchproof.errors import UsageError
from torchproof.score import look
from torchproof.settings import Settings


def kinds(root, settings=None):
    return {each.kind for each in look(root, settings or Settings())}


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("proof(build)", "proofs"),
        ("proof.overfit(build)", "overfits"),
        ('proof.architecture(model, example, name="encoder")', "architecture"),
        ('proof.dataset("train", data)', "dataset"),
        ("proof.handover(train, serve)", "handover"),
        ('proof.behaviour("names", kind="INV", inputs=inputs)', "invariances"),
        ('proof.behaviour("price", kind="MFT", slices={"rich": mask})', "slices"),
        ('proof.metric("baseline/accuracy", 0.6, better="higher")', "simple-model"),
        ('proof.metric("val/accuracy", 0.9, better="higher")', "quality"),
        ('proof.metric("latency", 3, unit="ms", better="lower")', "resources"),
        ('model.load_state_dict(torch.load("old.pt"))', "checkpoint"),
        ("torchproof.Trainee(model, batch, step, serve=Service)", "serve"),
    ],
)
def test_a_call_in_a_test_speaks_for_itself(tmp_path, call, kind):
    write(tmp_path, "tests/test_it.py", f"def test_it(proof):\n    {call}\n")
    assert kind in kinds(tmp_path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/test_it.py", "# proof(build)\n"),
        ("tests/test_it.py", "def helper(proof):\n    proof(build)\n"),
        ("tests/test_it.py", 'def test_it():\n    print("proof(build)")\n'),
        ("tests/test_it.py", "def test_it(:\n"),
        ("src/it.py", "def test_it(proof):\n    proof(build)\n"),
        (".venv/test_it.py", "def test_it(proof):\n    proof(build)\n"),
    ],
)
def test_what_never_runs_speaks_for_nothing(tmp_path, path, text):
    write(tmp_path, path, text)
    assert look(tmp_path, Settings()) == ()


def test_the_place_is_the_line_of_the_call(tmp_path):
    write(tmp_path, "tests/test_it.py", "def test_it(proof):\n    x = 1\n    proof(x)\n")
    assert {each.place for each in look(tmp_path, Settings())} == {"tests/test_it.py:3"}


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.integration\ndef test_it():\n    pass\n",
        "pytestmark = [pytest.mark.integration]\n\ndef test_it():\n    pass\n",
    ],
)
def test_the_tier_is_known_by_its_marker(tmp_path, text):
    write(tmp_path, "test_it.py", text)
    assert kinds(tmp_path) == {"integration"}


def test_a_test_of_the_code_that_makes_features_is_known_by_its_import(tmp_path):
    write(tmp_path, "test_it.py", "from mypkg.preprocessing import scale\n")
    assert kinds(tmp_path) == {"feature-tests"}


def test_a_workflow_counts_when_it_runs_torchproof(tmp_path):
    write(tmp_path, ".github/workflows/ci.yml", "on: push\njobs: {}\n")
    assert kinds(tmp_path) == set()
    text = "on:\n  schedule:\n    - cron: '0 3 * * *'\njobs:\n  a:\n    steps:\n"
    step = "      - uses: torchproof/torchproof@v0.1.0\n"
    write(tmp_path, ".github/workflows/proof.yml", text + step)
    assert kinds(tmp_path) == {"workflow", "nightly"}


def test_pinned_dependencies_are_known_by_their_lock(tmp_path):
    write(tmp_path, "requirements.txt", "torch>=2.4\n")
    assert kinds(tmp_path) == set()
    write(tmp_path, "requirements.txt", "torch==2.13.0\n")
    assert kinds(tmp_path) == {"pinned"}


def test_named_dimensions_are_configured(tmp_path):
    assert kinds(tmp_path, Settings(shapes=("mypkg",))) == {"shapes"}


def test_another_place_than_a_directory_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such directory"):
        look(tmp_path / "nowhere", Settings())
