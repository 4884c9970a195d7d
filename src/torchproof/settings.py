"""The user's configuration and the action's inputs, read in one place and checked once.

Configuration lives in ``[tool.torchproof]`` of ``pyproject.toml``, or at the top level of
``torchproof.toml``, which wins. Both sides read it, so the module needs nothing but the standard
library (on Python 3.9 and 3.10 ``tomli``, which pytest itself brings there).

The file comes from the branch under test and is hostile: its size is bounded, and so are dotted
keys, on which the TOML parser takes quadratic time and memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Optional

from torchproof.errors import ConfigError


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES = ("torchproof.toml", "pyproject.toml")
MAX_BYTES = 1024 * 1024
MAX_DOTS = 8
MAX_SECONDS = 1_000_000

# How the records of a tier's fingerprints are told from those of its runs.
FINGERPRINT = "-fingerprint"

_PART = r"""\s*("[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)\s*"""
_LONG_KEY = re.compile(rf"(^|[\[{{,])({_PART}\.){{{MAX_DOTS + 1}}}", re.MULTILINE)
_PACKAGE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_CPU = "not gpu and not slow and not overfit and not integration and not nightly"


@dataclass(frozen=True)
class Tier:
    """A class of tests by cost.

    ``markers`` is a pytest marker expression, empty for every test. ``timeout`` is in seconds and
    bounds the whole run. ``gpu`` says that the tier wants a device; without one it runs on the CPU.
    ``pull`` names what ``dvc pull`` brings before the tests.
    """

    name: str
    markers: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 1800.0
    gpu: bool = False
    pull: tuple[str, ...] = ()


DEFAULT_TIERS = {
    "unit": Tier("unit", _CPU),
    "overfit": Tier("overfit", "overfit", gpu=True),
    "integration": Tier("integration", "integration", timeout=7200.0, gpu=True),
    "nightly": Tier("nightly", "nightly", timeout=21600.0, gpu=True),
}


@dataclass(frozen=True)
class Settings:
    """Everything a user can say in ``[tool.torchproof]``.

    Attributes:
        seed: Base seed; each test derives its own from it and its id.
        deterministic: Deterministic algorithms on CPU tiers.
        install: What goes into the user environment, as ``uv pip install`` takes it. Plain
            requirements are added to what the repository's own files ask for; with a source among
            them (``-r file``, ``-e path``, ``./path``) the list is the whole environment.
        python: Interpreter of the user environment: a version, a path, ``system`` for the one in
            the image, empty for what the repository asks for.
        image: The user's own image to run the tests in, empty for torchproof's.
        env: Environment of the tests.
        pytest_args: Further arguments for pytest.
        tiers: By name; a user's entry changes the default of that name or adds a tier.
        seeds: How many seeds the nightly run uses.
        max_seeds: The most runs of a tier, each with a seed of its own, that a pull request may
            spend to decide its metrics; 1 spends none beyond the first.
        gate: Dispatch no GPU tier whose training a pull request leaves unchanged to the bit.
        nightly_budget: How many runs the nightly run may make beyond its own, to confirm what
            looks worse and to find the commit; 0 makes none.
        mention_author: Mention the author of the commit in the issue about a regression.
        tolerance: Of metrics that name none; None leaves a change without a verdict.
        score: Documents that speak for criteria of the ML Test Score, by criterion.
        shapes: Packages whose named dimensions are checked (``shapes.packages``).
        template: The user's report template, relative to the repository.
        history_branch: The branch that holds the run records.
    """

    seed: int = 0
    deterministic: bool = True
    install: tuple[str, ...] = ()
    python: str = ""
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    pytest_args: tuple[str, ...] = ()
    tiers: Mapping[str, Tier] = field(default_factory=lambda: dict(DEFAULT_TIERS))
    seeds: int = 3
    max_seeds: int = 8
    gate: bool = True
    nightly_budget: int = 40
    mention_author: bool = False
    tolerance: Any = None
    score: Mapping[str, str] = field(default_factory=dict)
    shapes: tuple[str, ...] = ()
    template: str = ""
    history_branch: str = "torchproof-history"


@dataclass(frozen=True)
class Inputs:
    """The action's inputs, one field each; the runner passes them as ``INPUT_<NAME>``."""

    github_token: str = field(default="", repr=False)
    working_directory: str = "."
    gpu_runner: str = ""
    install: str = ""
    image: str = ""
    tiers: str = ""
    seal: str = "auto"


def load(root: Path, file: Optional[Path] = None) -> Settings:
    """Read the settings of the project in ``root``; defaults where it has none.

    Args:
        root: The directory that holds ``torchproof.toml`` or ``pyproject.toml``.
        file: Read this file instead; it must exist.

    Raises:
        ConfigError: The file is not TOML, or a key is unknown or of the wrong type; the error
            names file, line and key.
    """
    if file is not None and not file.is_file():
        raise ConfigError("there is no such file", "Check the path.", where=str(file))
    for path in [file] if file else [root / name for name in FILES]:
        if path.is_file():
            text = _text(path)
            table = _table(path, text)
            if table is not None:
                return _settings(table, _Place(path.name, text))
    return Settings()


def read_inputs(environ: Mapping[str, str]) -> Inputs:
    """Read the action's inputs from the runner's environment; dashes stay dashes there."""
    values = {}
    for spec in fields(Inputs):
        value = environ.get(f"INPUT_{spec.name.replace('_', '-').upper()}", "").strip()
        if value:
            values[spec.name] = value
    return Inputs(**values)


def with_inputs(settings: Settings, inputs: Inputs) -> Settings:
    """Let the step's ``install`` and ``image`` replace those of the configuration."""
    changes: dict[str, Any] = {}
    if inputs.install:
        changes["install"] = tuple(filter(None, map(str.strip, inputs.install.splitlines())))
    if inputs.image:
        changes["image"] = inputs.image
    return replace(settings, **changes)


@dataclass(frozen=True)
class _Place:
    """Names the line of a key in an error; a TOML parser does not keep it."""

    file: str
    text: str

    def error(self, key: str, what: str, remedy: str) -> ConfigError:
        last = re.escape(key.rsplit(".", maxsplit=1)[-1])
        pattern = re.compile(
            rf"^\s*(\[.*\b{last}\]|[\"']?{last}[\"']?\s*=)|[{{,]\s*{last}\s*=", re.MULTILINE
        )
        found = pattern.search(self.text)
        line = f":{self.text.count(chr(10), 0, found.end()) + 1}" if found else ""
        return ConfigError(f"{key} {what}", remedy, where=f"{self.file}{line}")


def _text(path: Path) -> str:
    # The code under test chose what lies here; a link could make the action read its own secrets.
    if path.resolve().parent != path.parent.resolve():
        raise ConfigError("the file is a link to elsewhere", "Make it a file.", where=path.name)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise ConfigError(what, "Check its permissions.", where=path.name) from error
    if len(data) > MAX_BYTES:
        what = f"the file has more than {MAX_BYTES} bytes"
        raise ConfigError(what, "Move what is not configuration elsewhere.", where=path.name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8", "Save it as UTF-8.", where=path.name) from error
    found = _LONG_KEY.search(text)
    if found:
        place = f"{path.name}:{text.count(chr(10), 0, found.end()) + 1}"
        raise ConfigError(f"a key has more than {MAX_DOTS} dots", "Use tables.", where=place)
    return text


def _table(path: Path, text: str) -> Optional[dict[str, Any]]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.9 and 3.10
        import tomli as tomllib  # type: ignore[no-redef,import-not-found,unused-ignore]
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not TOML: {error}", "Correct that line.", where=path.name) from error
    return _own_table(document, _Place(path.name, text)) if path.name == FILES[1] else document


def _own_table(document: Mapping[str, Any], place: _Place) -> Optional[dict[str, Any]]:
    """Return the table that is ours; one that only just misses its name is a mistake."""
    tool = document.get("tool")
    tool = tool if isinstance(tool, dict) else {}
    table = tool.get("torchproof")
    if table is not None and not isinstance(table, dict):
        raise place.error("tool.torchproof", "must be a table", "Write [tool.torchproof].")
    missed = [f"tool.{name}" for name in tool if _is_meant(name, tool[name])]
    missed += ["torchproof"] if "torchproof" in document else []
    if missed and table is None:
        raise place.error(missed[0], "is not read", "Did you mean [tool.torchproof]?")
    return table


def _is_meant(name: str, table: Any) -> bool:
    """Say whether a table of nearly our name holds keys of ours and no others."""
    import difflib

    close = difflib.get_close_matches(name.lower(), ["torchproof"], cutoff=0.8)
    known = {spec.name.replace("_", "-") for spec in fields(Settings)}
    return bool(close) and isinstance(table, dict) and bool(table) and {*table} <= known


def _settings(table: Mapping[str, Any], place: _Place) -> Settings:
    known = {spec.name.replace("_", "-"): spec.name for spec in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise place.error(key, "is not a key of [tool.torchproof]", _did_you_mean(key, known))
        values[known[key]] = _CHECKS[known[key]](key, value, place)
    return Settings(**values)


def _did_you_mean(key: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(key, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(sorted(known))}."


def _integer(key: str, value: Any, place: _Place) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise place.error(key, "must be a whole number, 0 or more", f"Example: {key} = 3")
    return value


def _boolean(key: str, value: Any, place: _Place) -> bool:
    if not isinstance(value, bool):
        raise place.error(key, "must be true or false", f"Example: {key} = true")
    return value


def _string(key: str, value: Any, place: _Place) -> str:
    if not isinstance(value, str):
        raise place.error(key, "must be a text", f'Example: {key} = "…"')
    return value


def _strings(key: str, value: Any, place: _Place) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise place.error(key, "must be a list of texts", f'Example: {key} = ["…"]')
    return tuple(value)


def _targets(key: str, value: Any, place: _Place) -> tuple[str, ...]:
    targets = _strings(key, value, place)
    for target in targets:
        if not target or target.startswith("-"):
            what = f"has {target!r:.60}, which names no data"
            raise place.error(key, what, f'Example: {key} = ["data/train.dvc"]')
    return targets


def _environment(key: str, value: Any, place: _Place) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise place.error(key, "must be a table of texts", f'Example: {key} = {{ NAME = "1" }}')
    return value


def _seconds(key: str, value: Any, place: _Place) -> float:
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not 0 < value < MAX_SECONDS
    ):
        raise place.error(key, "must be a number of seconds", f"Example: {key} = 1800")
    return float(value)


def _tolerance(key: str, value: Any, place: _Place) -> Any:
    try:
        return parse_tolerance(value)
    except ValueError as error:
        raise place.error(key, str(error), f'Example: {key} = 0.01 or "2%"') from None


def parse_tolerance(value: Any) -> Any:
    """Return a tolerance as a float (absolute) or a text like ``2%`` (relative to the base).

    Raises:
        ValueError: It is neither, or negative.
    """
    text = str(value).strip()
    number = text[:-1] if isinstance(value, str) and text.endswith("%") else value
    try:
        amount = float(number)
    except (TypeError, ValueError):
        amount = -1.0
    if isinstance(value, bool) or not 0 <= amount < float("inf"):
        raise ValueError("must be a number of 0 or more, or a percentage")
    return text.replace(" ", "") if isinstance(value, str) and text.endswith("%") else amount


def _shapes(key: str, value: Any, place: _Place) -> tuple[str, ...]:
    example = f'Example: {key} = {{ packages = ["mypackage"] }}'
    if not isinstance(value, dict):
        raise place.error(key, "must be a table", example)
    for item in value:
        if item != "packages":
            what = f"is not a key of {key}"
            raise place.error(f"{key}.{item}", what, _did_you_mean(item, {"packages": None}))
    packages = _strings(f"{key}.packages", value.get("packages", []), place)
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise place.error(f"{key}.packages", f"has {package!r:.60}, not a module name", example)
    return packages


def _tiers(key: str, value: Any, place: _Place) -> Mapping[str, Tier]:
    if not isinstance(value, dict):
        raise place.error(key, "must be a table of tiers", "Example: [tool.torchproof.tiers.unit]")
    tiers = dict(DEFAULT_TIERS)
    for name, table in value.items():
        tiers[name] = _tier(f"{key}.{name}", name, table, place)
    return tiers


def _tier(key: str, name: str, table: Any, place: _Place) -> Tier:
    example = f'Example: [tool.torchproof.{key}] with markers = "not slow"'
    if not _NAME.fullmatch(name) or not isinstance(table, dict):
        raise place.error(key, "must be a table under a plain name", example)
    if name.endswith(FINGERPRINT):
        raise place.error(key, f"ends in {FINGERPRINT}, as records of ours do", example)
    checks = {
        "markers": _string,
        "env": _environment,
        "timeout": _seconds,
        "gpu": _boolean,
        "pull": _targets,
    }
    default = DEFAULT_TIERS.get(name, Tier(name))
    values = {spec.name: getattr(default, spec.name) for spec in fields(Tier)}
    for item, value in table.items():
        if item not in checks:
            raise place.error(
                f"{key}.{item}", "is not a key of a tier", _did_you_mean(item, checks)
            )
        values[item] = checks[item](f"{key}.{item}", value, place)
    return Tier(**values)


_CHECKS = {
    "seed": _integer,
    "deterministic": _boolean,
    "install": _strings,
    "python": _string,
    "image": _string,
    "env": _environment,
    "pytest_args": _strings,
    "tiers": _tiers,
    "seeds": _integer,
    "max_seeds": _integer,
    "gate": _boolean,
    "nightly_budget": _integer,
    "mention_author": _boolean,
    "tolerance": _tolerance,
    "score": _environment,
    "shapes": _shapes,
    "template": _string,
    "history_branch": _string,
}
