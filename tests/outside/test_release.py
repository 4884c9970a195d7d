"""The shell steps of the release workflow, run as a runner runs them, on a real repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml


ROOT = Path(__file__).parents[2]
JOBS = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
DIGEST = f"sha256:{'5' * 64}"


@pytest.fixture
def checkout(tmp_path):
    """Return a clone of a repository that holds what a release reads and writes."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", origin], check=True)
    subprocess.run(["git", "clone", "--quiet", origin, clone], check=True, capture_output=True)
    (clone / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (clone / "action.yml").write_text((ROOT / "action.yml").read_text())
    git(clone, "add", ".")
    git(clone, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first")
    # The step asks gh for credentials and for the release; this one notes what it is asked.
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/asked\n')
    gh.chmod(0o755)
    return clone


def git(repository, *words):
    done = subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True)
    return done.stdout.decode()


def run(job, checkout, **variables):
    (script,) = [step["run"] for step in JOBS[job]["steps"] if "run" in step]
    environment = {
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REPOSITORY": "torchproof/torchproof",
        "HOME": str(checkout.parent),
        "PATH": f"{checkout.parent}/bin:{os.environ['PATH']}",
        "VERSION": "1.2.3",
        **variables,
    }
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=checkout,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_tagged_commit_differs_from_main_in_the_image_alone(checkout):
    done = run("tag", checkout, DIGEST=DIGEST)
    assert done.returncode == 0, done.stderr
    origin = checkout.parent / "origin.git"
    assert git(checkout, "diff", "--numstat", "v1.2.3^", "v1.2.3") == "1\t1\taction.yml\n"
    image = f"\n  image: docker://ghcr.io/torchproof/torchproof@{DIGEST}\n"
    assert image in git(origin, "show", "v1.2.3:action.yml")
    assert git(origin, "branch") == ""


def test_the_release_notes_name_the_commit_to_pin(checkout):
    run("tag", checkout, DIGEST=DIGEST)
    commit = git(checkout, "rev-parse", "v1.2.3^{}").strip()
    asked = (checkout.parent / "asked").read_text()
    assert f"`uses: torchproof/torchproof@{commit} # v1.2.3`" in asked


def test_no_tag_is_made_when_the_line_to_rewrite_is_gone(checkout):
    (checkout / "action.yml").write_text("runs:\n  image: elsewhere\n")
    assert run("tag", checkout, DIGEST=DIGEST).returncode != 0
    assert git(checkout.parent / "origin.git", "tag") == ""


def test_a_new_version_from_main_may_be_released(checkout):
    done = run("check", checkout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"VERSION": "1.2.4"}, "The version is not 1.2.4."),
        ({"VERSION": "1.2.3$(touch pwned)"}, "The version is not"),
        ({"GITHUB_REF": "refs/heads/feature"}, "Release from main."),
    ],
)
def test_anything_else_is_refused_with_a_sentence(checkout, variables, sentence):
    done = run("check", checkout, **variables)
    assert done.returncode == 1
    assert sentence in done.stdout
    assert not (checkout / "pwned").exists()


def test_a_tag_never_moves(checkout):
    git(checkout, "tag", "v1.2.3")
    done = run("check", checkout)
    assert done.returncode == 1
    assert "tags never move" in done.stdout
