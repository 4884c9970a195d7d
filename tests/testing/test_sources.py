"""Sources: what counts as the same, and what counts at all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from torchproof.testing import sources


SOURCE = '''
"""What it is for."""

RATE = 1  # of learning


def train(epochs=4):
    """Train."""
    return RATE * epochs
'''


@pytest.fixture
def project(tmp_path):
    """A project with a module, and a function that digests it after a change."""
    module = tmp_path / "train.py"
    module.write_text(SOURCE)
    loaded = {"train": SimpleNamespace(__file__=str(module))}
    return SimpleNamespace(
        path=tmp_path, module=module, digest=lambda: sources.of_project(tmp_path, loaded)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# of learning", "# of forgetting"),
        ('"""Train."""', '"""Train for some epochs."""'),
        ('"""What it is for."""\n', ""),
        ("RATE * epochs", "(RATE\n        * epochs)"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(project, old, new):
    before = project.digest()
    project.module.write_text(SOURCE.replace(old, new))
    assert project.digest() == before


@pytest.mark.parametrize(("old", "new"), [("epochs=4", "epochs=5"), ("RATE = 1", "RATE = 2")])
def test_code_counts_whether_it_runs_or_not(project, old, new):
    before = project.digest()
    project.module.write_text(SOURCE.replace(old, new))
    assert project.digest() != before


STEP = """
def step(model, batch, device="cuda"):
    loss = model(batch).mean()
    with torch.autocast(device, dtype=torch.float16):
        loss = loss + model(batch)
    if torch.cuda.is_available():
        loss = 2 * loss
    return loss
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("mean()", "sum()", False),
        ("loss + model(batch)", "model(batch) + loss", False),
        ("float16", "bfloat16", True),
        ("2 * loss", "3 * loss", True),
        ('"cuda"', '"cuda:1"', True),
        ("autocast(device", "autocast('cpu'", True),
    ],
)
def test_what_names_a_gpu_counts_by_itself(project, old, new, counts):
    project.module.write_text(STEP)
    of_gpu, whole = project.digest().split(" ")
    project.module.write_text(STEP.replace(old, new))
    now = project.digest().split(" ")
    assert (now[0] != of_gpu) == counts
    assert now[1] != whole


def test_configuration_counts_and_other_files_do_not(project):
    before = project.digest()
    (project.path / "README.md").write_text("# Read me")
    (project.path / ".github").mkdir()
    (project.path / ".github" / "ci.yml").write_text("on: push")
    (project.path / "venv").mkdir()
    (project.path / "venv" / "pyvenv.cfg").write_text("home = /usr")
    assert project.digest() == before
    (project.path / "conf").mkdir()
    (project.path / "conf" / "train.yaml").write_text("epochs: 90")
    assert project.digest() != before


def test_a_module_moved_elsewhere_is_the_same_code(project):
    before = project.digest()
    moved = project.path / "digits" / "train.py"
    moved.parent.mkdir()
    project.module.rename(moved)
    loaded = {"digits.train": SimpleNamespace(__file__=str(moved))}
    assert sources.of_project(project.path, loaded) == before


def test_installed_packages_and_torchproof_are_not_the_project(tmp_path):
    nothing = sources.of_project(tmp_path, {})
    loaded = {each.__name__: each for each in (pytest, sources)}
    assert sources.of_project(tmp_path, loaded) == nothing


def test_more_files_than_can_be_read_in_passing_have_no_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    for name in "abc":
        (tmp_path / f"{name}.json").write_text("{}")
    assert sources.of_project(tmp_path, {}).split(" ")[1] == ""


def test_a_conftest_above_a_test_counts_and_one_beside_its_way_does_not(tmp_path):
    test = tmp_path / "tests" / "vision" / "test_it.py"
    test.parent.mkdir(parents=True)
    test.write_text("def test_it(): pass")
    before = sources.of_test(test, tmp_path)
    (tmp_path / "tests" / "speech").mkdir()
    (tmp_path / "tests" / "speech" / "conftest.py").write_text("STEPS = 3")
    assert sources.of_test(test, tmp_path) == before
    (tmp_path / "tests" / "conftest.py").write_text("STEPS = 3")
    assert sources.of_test(test, tmp_path) != before


def test_a_file_that_is_no_python_counts_byte_by_byte(tmp_path):
    file = tmp_path / "test_it.py"
    file.write_text("def (:")
    before = sources.of_test(file, tmp_path)
    file.write_text("def (:  ")
    assert sources.of_test(file, tmp_path) != before
