"""How many runs `verdict.compare` takes and how often it errs, beside targets, anchors and limits.

    python -m benchmarks.verdict.compare               20,000 repetitions, some minutes
    python -m benchmarks.verdict.compare --quick       500, some seconds
    python -m benchmarks.verdict.compare --calibrate   the corridor's half widths, computed anew

Anchors are those of a simulation of the field's tests at 5 %/5 %; limits are Wald's: no test with
these error rates takes fewer runs on average, even if it knows sigma. For a head alone against
stored runs the second limit is that of `optimum`, for tests that have to learn sigma, too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product

from benchmarks.verdict.compare_cases import NOISES, USUAL, Case, Share, simulate
from benchmarks.verdict.corridor import half_width
from benchmarks.verdict.optimum import LEAST

from torchproof.verdict.corridor import HALF_WIDTHS, Rates


_CHUNK = 500
_SURE = 1.96


def main() -> int:
    """Simulate and print; 1 if a target is missed."""
    options = _options()
    if options.calibrate:
        print(_calibration())
        return 0
    figures = measure(QUICK if options.quick else CASES, options.jobs, options.seed)
    print(json.dumps([f.document() for f in figures], indent=2) if options.json else table(figures))
    return int(not all(figure.met for figure in figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsWritten)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


_AsWritten = argparse.RawDescriptionHelpFormatter


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What became of one case: mean runs and error rates without and with an effect."""

    case: Case
    runs: tuple[float, float]
    errors: tuple[float, float]
    undecided: float

    @property
    def limit(self) -> float:
        """The least expected runs that any test with these error rates can have."""
        return limit(self.case)

    @property
    def optimum(self) -> float | None:
        """The least mean runs of a test that knows neither level nor sigma, where computed."""
        case = self.case
        head_alone = not (case.grows or case.known or case.rho) and case.rates == USUAL
        return LEAST.get(case.stored) if head_alone else None

    @property
    def allowed(self) -> tuple[float, float]:
        """Upper ends of the 95 % Monte-Carlo intervals of the nominal error rates."""
        rates, count = self.case.rates, self.case.repetitions
        alpha, beta = (
            rate + _SURE * math.sqrt(rate * (1 - rate) / count)
            for rate in (rates.alpha, rates.beta)
        )
        return alpha, beta

    @property
    def met(self) -> bool:
        """Whether both error rates and the mean of both expected runs keep to their targets."""
        most = self.case.most or math.inf
        kept = all(error <= most for error, most in zip(self.errors, self.allowed, strict=True))
        return kept and sum(self.runs) / 2 <= most

    def document(self) -> dict[str, object]:
        """Return the figure for JSON."""
        more = {"limit": self.limit, "optimum": self.optimum, "allowed": self.allowed}
        return asdict(self) | more | {"met": self.met}


def measure(cases: tuple[Case, ...], jobs: int | None, seed: int) -> list[Figure]:
    """Simulate all cases, in parallel chunks with seeds of their own."""
    parts = [
        (case, changed, min(_CHUNK, case.repetitions - start))
        for case, changed in product(cases, (False, True))
        for start in range(0, case.repetitions, _CHUNK)
    ]
    seeds = [seed + number for number in range(len(parts))]
    with ProcessPoolExecutor(jobs) as pool:
        shares = list(pool.map(simulate, *zip(*parts, strict=True), seeds))
    return [_figure([share for share in shares if share.case == case]) for case in cases]


def _figure(shares: list[Share]) -> Figure:
    case = shares[0].case
    halves = [[s for s in shares if s.changed is changed] for changed in (False, True)]
    same, worse = halves
    return Figure(
        case=case,
        runs=(_rate(same, "runs"), _rate(worse, "runs")),
        errors=(_rate(same, "wrong"), _rate(worse, "wrong")),
        undecided=_rate(shares, "undecided"),
    )


def _rate(shares: list[Share], what: str) -> float:
    total: int = sum(getattr(share, what) for share in shares)
    return total / sum(share.experiments for share in shares)


def limit(case: Case) -> float:
    """Return Wald's limit (1947) in runs, for the noise's normal core.

    The information of n head runs against m of the base is ``1 / ((1 - rho**2)/n + (1-rho)**2/m)``;
    by Jensen's inequality the expected runs are at least those that carry the expected information.
    """
    alpha, beta = case.rates.alpha, case.rates.beta
    h0 = (1 - alpha) * math.log((1 - alpha) / beta) + alpha * math.log(alpha / (1 - beta))
    h1 = (1 - beta) * math.log((1 - beta) / alpha) + beta * math.log(beta / (1 - alpha))
    information, rho = (h0 + h1) / case.rates.effect**2, case.rho or 0.0
    if case.stored:
        return (1 - rho**2) / (1 / information - (1 - rho) ** 2 / case.stored)
    return information * 2 * 2 * (1 - rho)


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    head = "| case | noise | runs: no change / worse | mean: target | best known | limit "
    head += "| false alarms | misses | allowed | undecided | met |\n" + "|-" * 11 + "|\n"
    return head + "\n".join(_row(figure) for figure in figures)


def _row(figure: Figure) -> str:
    case = figure.case
    mean = f"{sum(figure.runs) / 2:.2f}" + (f": ≤ {case.most:g}" if case.most else "")
    cells = (
        case.what,
        case.noise,
        "{:.2f} / {:.2f}".format(*figure.runs),
        mean,
        case.anchor,
        f"{figure.limit:.1f}" + (f"; {figure.optimum}" if figure.optimum else ""),
        *(f"{100 * error:.2f} %" for error in figure.errors),
        f"{100 * figure.allowed[0]:.2f} %",
        f"{100 * figure.undecided:.2f} %",
        "yes" if figure.met else "no",
    )
    return f"| {' | '.join(cells)} |"


def _calibration() -> str:
    rows = (f"| {rate} | {width} | {half_width(rate):.3f} |" for rate, width in HALF_WIDTHS)
    return "\n".join(("| error | in use | computed |", "|-|-|-|", *rows))


_STORED_20 = Case(
    what="head against 20 stored", noise="", stored=20, most=10, anchor="9.5-9.8 at 6.7 %"
)
_STORED_50 = Case(what="head against 50 stored", noise="", stored=50, most=7, anchor="7.0 at 5.7 %")
_FRESH = Case(what="both sides run", noise="", grows=True, most=30, anchor="26.2 / 30.0 (t-SPRT)")
_MAIN = (
    _STORED_20,
    replace(_STORED_20, what="20 stored, then base runs too", grows=True, told=True),
    _STORED_50,
    _FRESH,
)
_KNOWN = Case(
    what="both sides, sigma known",
    noise="",
    grows=True,
    told=True,
    known=True,
    most=1.15 * 21.2,
    anchor="23.7 (triangular)",
    repetitions=10_000,
)
_ALL_KNOWN = Case(
    what="head alone, level and sigma known",
    noise="",
    stored=2000,
    known=True,
    most=1.15 * 5.3,
    anchor="6.1 (triangular)",
    repetitions=2_000,
)
_GROWING = Case(what="", noise="", stored=50, grows=True, told=True, repetitions=4_000)
_PAIRS = Case(what="", noise="", grows=True, told=True, repetitions=10_000)
_STORED_PAIRS = Case(what="", noise="", stored=50, repetitions=10_000)
_PAIRED = (
    replace(_PAIRS, what="pairs, rho 0", rho=0.0),
    replace(_PAIRS, what="pairs, rho 0.5", rho=0.5, anchor="14.3 / 18.3 (t-SPRT, rho known)"),
    replace(_PAIRS, what="pairs, rho 0.9", rho=0.9, anchor="5.6 / 8.3 (t-SPRT, rho known)"),
    replace(_PAIRS, what="pairs, rho 0.95", rho=0.95),
    replace(_STORED_PAIRS, what="pairs with 50 stored, rho 0", rho=0.0),
    replace(_STORED_PAIRS, what="pairs with 50 stored, rho 0.6", rho=0.6),
    replace(
        _STORED_PAIRS, what="pairs with 50 stored, rho 0.9", rho=0.9, anchor="2.8 / 4.1 (t-SPRT)"
    ),
    replace(_STORED_PAIRS, what="pairs with 20 stored, rho 0.3", rho=0.3, stored=20),
    replace(_STORED_PAIRS, what="pairs with 20 stored, rho 0.9", rho=0.9, stored=20),
)
_OTHERS = (
    replace(_FRESH, what="both sides, told so", told=True, repetitions=4_000),
    replace(_GROWING, what="200 stored", stored=200, anchor="6.3"),
    replace(_GROWING, what="50 stored, effect 0.5", rates=Rates(0.5, 0.05, 0.05)),
    replace(_GROWING, what="50 stored, effect 2", rates=Rates(2.0, 0.05, 0.05)),
    replace(_GROWING, what="50 stored, 1 %/1 %", rates=Rates(1.0, 0.01, 0.01)),
)
CASES = (
    *(replace(case, noise=noise) for case, noise in product(_MAIN, NOISES)),
    *(replace(case, noise="normal") for case in (_KNOWN, _ALL_KNOWN, *_OTHERS)),
    *(replace(case, noise=noise) for case, noise in product(_PAIRED, NOISES)),
)
QUICK = tuple(replace(case, noise="normal", repetitions=500) for case in _MAIN)


if __name__ == "__main__":
    raise SystemExit(main())
