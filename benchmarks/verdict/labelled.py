"""Labelled real series: the Turing Change Point Dataset, and Nyrkiö's RocksDB runs of 2023.

TCPD rewards models of trend and season, which these series have and a CI's do not: a stress test.
In RocksDB up to 34 runs are of one commit: an alarm inside such a block cannot be the code's fault.
Neither is part of this repository, because each TCPD series has terms of its own; `WHERE` says how
to get them.
"""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from typing import TYPE_CHECKING

from torchproof.verdict import detect


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WHERE = (
    "Labelled series: not asked for. Put github.com/alan-turing-institute/TCPD as DIR/tcpd and "
    "datasets/rocksdb.2023.tgz of github.com/nyrkio/nyrkio into DIR/nyrkio, and say --data DIR."
)
_MARGIN = 5


def labelled(directory: Path | None) -> str:
    """Return what was measured, or what is not there, in one line a data set."""
    if directory is None:
        return WHERE
    return f"{_tcpd(directory / 'tcpd')}\n{_rocksdb(directory / 'nyrkio' / 'rocksdb.2023.tgz')}"


def _tcpd(directory: Path) -> str:
    if not (directory / "annotations.json").is_file():
        return "TCPD: not there, skipped."
    annotations = json.loads((directory / "annotations.json").read_text())
    scores, nothing = [], []
    for path in sorted(directory.glob("datasets/*/*.json")):
        document = json.loads(path.read_text())
        if document["n_dim"] > 1 or document["name"] not in annotations:
            continue
        raw = document["series"][0]["raw"]
        people = [set(marks) for marks in annotations[document["name"]].values()]
        both = {p.index for way in ("lower", "higher") for p in detect(raw, better=way)}
        scores.append(_f1(people, both))
        nothing.append(_f1(people, set()))
    mean, zero = sum(scores) / len(scores), sum(nothing) / len(nothing)
    return (
        f"TCPD, {len(scores)} series, margin {_MARGIN}: F1 {mean:.3f} (never alarming: {zero:.3f})."
    )


def _f1(people: Sequence[set[int]], found: set[int]) -> float:
    """F1 after van den Burg and Williams (2020): index 0 counts, recall is a mean over people."""
    found = found | {0}
    people = [marks | {0} for marks in people]
    everyone = set().union(*people)
    precision = _hits(everyone, found) / len(found)
    recall = sum(_hits(marks, found) / len(marks) for marks in people) / len(people)
    return 2 * precision * recall / (precision + recall)


def _hits(marks: set[int], found: set[int]) -> int:
    left, hits = set(found), 0
    for mark in sorted(marks):
        near = min((at for at in left if abs(at - mark) <= _MARGIN), default=None)
        if near is not None:
            left.discard(near)
            hits += 1
    return hits


def _rocksdb(path: Path) -> str:
    if not path.is_file():
        return "RocksDB 2023: not there, skipped."
    runs = inside = borders = 0
    for points in _histories(path).values():
        points.sort()
        commits = [commit for _, commit, _ in points]
        runs += len(points)
        for point in detect([value for _, _, value in points], better="higher"):
            if point.index and commits[point.index] == commits[point.index - 1]:
                inside += 1
            else:
                borders += 1
    return (
        f"RocksDB 2023, ops_sec and mb_sec, {runs} runs: {100 * inside / runs:.2f} alarms per 100 "
        f"runs inside one commit, which no code can explain; {borders} at the border of two."
    )


def _histories(path: Path) -> dict[tuple[str, str], list[tuple[int, str, float]]]:
    found = defaultdict(list)
    with tarfile.open(path) as archive:
        for member in archive:
            if not member.name.endswith(".json"):
                continue
            content = archive.extractfile(member)
            for run in json.load(content) if content else ():
                name, commit = run["_id"]["test_name"], run["_id"]["git_commit"]
                for metric in run["metrics"]:
                    if metric["name"] in ("ops_sec", "mb_sec"):
                        point = (run["timestamp"], commit, float(metric["value"]))
                        found[name, metric["name"]].append(point)
    return found
