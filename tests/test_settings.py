"""[tool.torchproof] and the action's inputs."""

from __future__ import annotations

import pytest

from torchproof import settings
from torchproof.errors import ConfigError


def write(tmp_path, text, name="pyproject.toml"):
    (tmp_path / name).write_text(text)
    return tmp_path


def test_a_project_without_configuration_gets_the_defaults(tmp_path):
    assert settings.load(tmp_path) == settings.Settings()


def test_keys_of_the_table_become_fields(tmp_path):
    root = write(
        tmp_path,
        """
        [tool.torchproof]
        seed = 7
        pytest-args = ["-q"]
        tolerance = "2 %"
        [tool.torchproof.tiers.unit]
        timeout = 60
        pull = ["data/train.dvc"]
        """,
    )
    found = settings.load(root)
    assert (found.seed, found.pytest_args, found.tolerance) == (7, ("-q",), "2%")
    assert (found.tiers["unit"].timeout, found.tiers["unit"].pull) == (60, ("data/train.dvc",))
    assert found.tiers["unit"].markers == settings.DEFAULT_TIERS["unit"].markers


def test_packages_to_check_are_named_in_a_table_of_their_own(tmp_path):
    root = write(tmp_path, "[tool.torchproof.shapes]\npackages = ['mine', 'other.layers']\n")
    assert settings.load(root).shapes == ("mine", "other.layers")


def test_torchproof_toml_wins_over_pyproject(tmp_path):
    write(tmp_path, "[tool.torchproof]\nseed = 1\n")
    write(tmp_path, "seed = 2\n", name="torchproof.toml")
    assert settings.load(tmp_path).seed == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tool.torchproof]\nsed = 1\n", r"pyproject.toml:2: sed is not a key .* mean seed\?"),
        ("[tool.torchproof]\nseed = -1\n", r"pyproject.toml:2: seed must be a whole number"),
        ("[tool.torchproof]\nseed = true\n", r":2: seed must be a whole number"),
        ("[tool.torchproof]\ninstall = 'x'\n", r":2: install must be a list"),
        ("[tool.torchproof]\nshapes = ['pkg']\n", r":2: shapes must be a table"),
        ("[tool.torchproof.shapes]\npackage = ['pkg']\n", r":2: shapes.package is .* packages\?"),
        ("[tool.torchproof.shapes]\npackages = 'pkg'\n", r":2: shapes.packages must be a list"),
        ("[tool.torchproof]\nshapes = { packages = ['a/b'] }\n", r":2: shapes.packages has 'a/b'"),
        ("[tool.torchproof]\n\ntolerance = 'wide'\n", r":3: tolerance must be a number"),
        ("[tool.torchproof.tiers.unit]\nmarker = 'x'\n", r":2: tiers.unit.marker is .* markers\?"),
        ("[tool.torchproof.tiers.unit]\npull = 'a.dvc'\n", r":2: tiers.unit.pull must be a list"),
        (
            "[tool.torchproof.tiers.unit]\npull = ['-f']\n",
            r":2: tiers.unit.pull has '-f', .* no data",
        ),
        ("[tool.torchproof.env]\nA = 1\n", r":1: env must be a table of texts"),
        (
            "[tool.torchproff]\nseed = 1\n",
            r":1: tool.torchproff is not read. .* mean .tool.torchpr",
        ),
        ("[tool.torch-proof]\nseed = 1\n", r":1: tool.torch-proof is not read"),
        ("[torchproof]\nseed = 1\n", r":1: torchproof is not read. .* mean .tool.torchproof"),
        ("[tool]\ntorchproof = 3\n", r":2: tool.torchproof must be a table"),
        ("[tool.torchproof\n", r"pyproject.toml: not TOML: .*line 1"),
        ("a.a.a.a.a.a.a.a.a.a = 1\n", r"pyproject.toml:1: a key has more than 8 dots"),
    ],
)
def test_a_mistake_is_named_with_line_and_key(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        settings.load(write(tmp_path, text))


@pytest.mark.parametrize(
    "text", ["[tool.torchprof]\ncolour = 'red'\n", "[tool.torchproofs]\n", "tool = 3\n"]
)
def test_a_table_of_another_tool_is_left_alone(tmp_path, text):
    assert settings.load(write(tmp_path, text)) == settings.Settings()


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        settings.load(tmp_path, tmp_path / "absent.toml")


def test_inputs_come_from_the_environment_with_their_dashes():
    environ = {"INPUT_GITHUB-TOKEN": "secret", "INPUT_GPU-RUNNER": " gpu ", "INPUT_TIERS": ""}
    inputs = settings.read_inputs(environ)
    assert (inputs.gpu_runner, inputs.tiers, inputs.seal) == ("gpu", "", "auto")
    assert "secret" not in repr(inputs)


@pytest.mark.parametrize(("given", "kept"), [(0.01, 0.01), ("2%", "2%"), ("2 %", "2%"), (0, 0.0)])
def test_a_tolerance_is_a_number_or_a_percentage(given, kept):
    assert settings.parse_tolerance(given) == kept


@pytest.mark.parametrize("given", [-1, "x", True, float("inf"), None, "-2%"])
def test_anything_else_is_no_tolerance(given):
    with pytest.raises(ValueError, match="must be a number"):
        settings.parse_tolerance(given)


def test_a_link_out_of_the_project_is_not_followed(tmp_path):
    secret = tmp_path / "elsewhere" / "secret"
    secret.parent.mkdir()
    secret.write_text("seed = 1")
    project = tmp_path / "project"
    project.mkdir()
    (project / "torchproof.toml").symlink_to(secret)
    with pytest.raises(ConfigError, match="a link to elsewhere"):
        settings.load(project)


def test_the_step_may_replace_install_and_image():
    inputs = settings.Inputs(install="-r dev.txt\n\nnumpy\n", image="mine:1")
    found = settings.with_inputs(settings.Settings(install=("x",)), inputs)
    assert (found.install, found.image) == (("-r dev.txt", "numpy"), "mine:1")


@pytest.mark.parametrize(
    "text",
    [
        '"a" . "a".a.a.a.a.a.a.a.a = 1',
        "x = { b.b.b.b.b.b.b.b.b.b = 1 }",
        "[c.c.c.c.c.c.c.c.c.c]",
        "d = " + "[" * 100_000,
    ],
)
def test_what_would_keep_the_toml_parser_busy_is_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        settings.load(write(tmp_path, text))


def test_a_text_with_many_dots_is_no_key(tmp_path):
    text = (
        '[tool.torchproof.env]\nA = """\na.b.c.d.e.f.g... h\nhttps://a.b.c.d.e.f.g/h.i.j.k.l\n"""\n'
    )
    assert "h.i.j.k.l" in settings.load(write(tmp_path, text)).env["A"]


def test_a_tier_cannot_be_called_like_the_records_of_ours(tmp_path):
    text = "[tool.torchproof.tiers.unit-fingerprint]\nmarkers = 'unit'\n"
    with pytest.raises(ConfigError, match="ends in -fingerprint"):
        settings.load(write(tmp_path, text))
