"""The README's table of what the statistics do: each figure beside its target, others and limit."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.verdict import blame, compare, detect

    Row = tuple[str, str, str, str, str]

_HEAD = (
    ("what", "measured", "target", "others", "least possible"),
    ("---",) * 5,
)
_COMPARED = {
    "both sides run": "runs to decide about one sigma, base and head trained",
    "both sides, sigma known": "the same, sigma known",
    "head against 20 stored": "head alone against 20 stored runs",
    "head against 50 stored": "head alone against 50 stored runs",
    "pairs with 50 stored, rho 0.9": "the same, paired by seeds that correlate by .9",
}
_DETECTED = {
    "history alone": "steps in a history, stored runs alone",
    "with fresh runs": "steps in a history, confirmed by fresh runs",
}
_RIVALS = {
    "Apache Otava 0.8": "Otava 0.8",
    "Perfherder 3 of 5": "Perfherder's vote",
    "Bencher t .95": "Bencher",
    "github-action-benchmark 105 %": "github-action-benchmark at 105 %",
}
_ODD = {
    "autocorrelated": "noise correlated by .3",
    "drift": "drift by one sigma in 100 commits",
}
_BLAMED = {
    "nightly runs, levels known": "one worse commit of 64, two sigma, nightly runs stored",
    "levels known": "one worse commit of 64, two sigma, no nightly runs",
    "nightly runs, environment moved": "no worse commit, the environment moved",
}


def claims(
    compared: Sequence[compare.Figure],
    detected: Sequence[detect.Figure],
    blamed: Sequence[blame.Figure],
    labelled: str = "",
) -> str:
    """Return the table in Markdown, with a caption that says how much was simulated.

    Args:
        compared: Of `verdict.compare`.
        detected: Of `verdict.detect` and `verdict.confirm`, and of other tools.
        blamed: Of `verdict.blame`, and of other searches.
        labelled: What was found in labelled real series; follows the caption.
    """
    rows = (*_HEAD, *_of_compare(compared), *_of_detect(detected), *_of_blame(blamed))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", _caption(compared, detected, blamed), labelled]).rstrip()


def _caption(
    compared: Sequence[compare.Figure],
    detected: Sequence[detect.Figure],
    blamed: Sequence[blame.Figure],
) -> str:
    most = max(figure.case.repetitions for figure in compared)
    series = max(figure.count for figure in detected)
    searches = max(figure.searches for figure in blamed)
    return (
        f"By simulation: up to {most:,} comparisons of a kind with and as many without the loss, "
        f"{series:,} histories, {searches:,} searches. Runs are means, without / "
        "with the loss. Of histories: F1, in brackets F1 where the alarm must blame within two "
        "commits, then false alarms and extra runs per 100 commits."
    )


def _of_compare(figures: Sequence[compare.Figure]) -> Iterator[Row]:
    for what, words in _COMPARED.items():
        for figure in figures:
            if figure.case.what == what and figure.case.noise == "normal":
                runs = "{:.1f} / {:.1f} runs".format(*figure.runs)
                target = f"≤ {figure.case.most:.3g} runs" if figure.case.most else ""
                least = f"{figure.optimum or figure.limit:.1f} runs"
                yield words, runs, target, figure.case.anchor, least
    named = [figure for figure in figures if figure.case.what in _COMPARED]
    for noise in dict.fromkeys(figure.case.noise for figure in named):
        some = [figure for figure in named if figure.case.noise == noise]
        alarms, misses = (max(figure.errors[side] for figure in some) for side in (0, 1))
        words = f"false alarms / misses in any of these, {noise} noise"
        target = f"≤ {100 * min(figure.allowed[0] for figure in some):.1f} %"
        yield words, f"{100 * alarms:.1f} % / {100 * misses:.1f} %", target, "", ""


def _of_detect(figures: Sequence[detect.Figure]) -> Iterator[Row]:
    on_steps = {figure.rule: figure for figure in figures if figure.series == "steps"}
    of = {(figure.rule, figure.series): figure for figure in figures}
    others = ", ".join(
        f"{name} {on_steps[rule].values['f1']:.2f}"
        for rule, name in _RIVALS.items()
        if rule in on_steps
    )
    for rule, words in _DETECTED.items():
        figure = on_steps[rule]
        yield words, _found(figure.values), _found(figure.target or {}), others, ""
        others = "the same"
        for series, odd in _ODD.items():
            found = _found(of[rule, f"{series}, steps of 1 and 2 sigma"].values)
            without = of[rule, f"{series}, no step"].values["false"]
            yield f"… {odd}", f"{found}; {without:.2f} false without a step", "", "", ""


def _found(values: dict[str, float]) -> str:
    runs = f", {values['runs']:.0f} runs" if values.get("runs") else ""
    return f"{values['f1']:.2f} ({values['strict_f1']:.2f}), {values['false']:.2f} false{runs}"


def _of_blame(figures: Sequence[blame.Figure]) -> Iterator[Row]:
    for what, words in _BLAMED.items():
        ways = {figure.way: figure for figure in figures if figure.case.what == what}
        ours = ways.pop("blame")
        told = ways.pop("all told", None)
        most = ours.case.most_runs
        target = f"≥ 97 % in ≤ {most:g}" if most else ""
        others = ", ".join(f"{way} {_right(figure)}" for way, figure in ways.items())
        least = f"{_right(told)}, levels and sigma told" if told else ""
        yield words, f"{_right(ours)} runs", target, others, least


def _right(figure: blame.Figure) -> str:
    return f"{100 * figure.right:.1f} % in {figure.runs:.1f}"
