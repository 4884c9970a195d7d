from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest


HERE = Path(__file__).parent
SCRIPTS = ("parse.mjs", "evaluate.mjs")
# Node 20 refuses the JSON imports of GitHub's packages, so both scripts are bundled first; the
# banner gives the bundle the `require` that one of these packages calls.
BUNDLE = [
    "--bundle",
    "--format=esm",
    "--outdir=bundled",
    "--platform=node",
    "--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);",
]


@pytest.fixture(scope="session")
def github_scripts(tmp_path_factory):
    """Return a function: name of a script and its arguments -> the JSON that it prints."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("GitHub's workflow parser comes from npm, which is not installed here")
    folder = tmp_path_factory.mktemp("github")
    for name in ("package.json", "package-lock.json", *SCRIPTS):
        shutil.copy(HERE / name, folder)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(install, cwd=folder, check=True, capture_output=True)
    esbuild = folder / "node_modules/.bin/esbuild"
    subprocess.run([esbuild, *SCRIPTS, *BUNDLE, "--log-level=error"], cwd=folder, check=True)

    def run(script, *arguments):
        command = ["node", folder / "bundled" / f"{script}.js", *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    return run


@pytest.fixture
def github_parser(github_scripts):
    """Return a function: path of a workflow or action -> the errors that GitHub's parser finds."""
    return lambda path: github_scripts("parse", str(path))[str(path)]


@pytest.fixture
def github_expression(github_scripts):
    """Return a function: text with one expression, contexts -> what GitHub makes of it."""

    def evaluate(text, **contexts):
        expression = text.strip().removeprefix("${{").removesuffix("}}").strip()
        return github_scripts("evaluate", expression, json.dumps(contexts))

    return evaluate
