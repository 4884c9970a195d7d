"""Making a text fit a surface by leaving out the least important first, and saying what is missing.

GitHub refuses a comment of more than 65,536 characters and a check run's summary of more than
65,535 bytes, and drops a job summary of more than 1 MiB whole. Only whole items are left out, so
that no fence, table or fold stays open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.errors import TemplateError
from torchproof.report.phrase import count


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    View = dict[str, Any]
    Render = Callable[[View], str]

# Least important first.
NOUNS = {
    "charts": ("chart", "charts"),
    "shown": ("number that is not judged", "numbers that are not judged"),
    "unchanged": ("unchanged check", "unchanged checks"),
    "examples": ("capability's examples", "capabilities' examples"),
    "environment": ("fact of the environment", "facts of the environment"),
    "notes": ("note", "notes"),
    "more": ("row", "rows"),
    "advice": ("explanation", "explanations"),
    "rows": ("row", "rows"),
}


def fit(view: View, render: Render, *, limit: int, size: Callable[[str], int]) -> str:
    """Render as much of a view as fits.

    Args:
        view: From `torchproof.report.view`.
        render: Writes a view.
        limit: In the unit of ``size``.
        size: Measures a text: `characters` or `octets`.

    Raises:
        TemplateError: Not even the bare report fits.
    """
    text = render(view)
    for name in NOUNS:
        if size(text) <= limit:
            return text
        without = kept(view, name, 0)
        shorter = render(without)
        if size(shorter) <= limit:
            return _longest(view, name, lambda less: _fitting(render(less), limit, size)) or shorter
        # A list that this surface does not show is not said to be missing.
        if size(shorter) < size(text):
            view, text = without, shorter
    if size(text) > limit:
        what = f"the report has {size(text)} characters with every list left out, more than {limit}"
        raise TemplateError(what, "Shorten the template's own text.")
    return text


def kept(view: View, name: str, keep: int) -> View:
    """Return the view with the first items of a list, and the words for what is left out."""
    items = view[name]["rows"]
    gone = {**view["gone"], name: view["gone"].get(name, 0) + max(0, len(items) - keep)}
    less = {**view[name], "rows": items[:keep]}
    return {**view, name: less, "gone": gone, "left_out": words(gone)}


def characters(text: str) -> int:
    """Count a text as GitHub may: a character beyond the basic plane counts as two."""
    return len(text.encode("utf-16-le")) // 2


def octets(text: str) -> int:
    """Count a text's bytes in UTF-8."""
    return len(text.encode())


def words(gone: dict[str, int]) -> list[str]:
    """Write how many items of each list are left out."""
    numbers: dict[tuple[str, str], int] = {}
    for name, noun in NOUNS.items():
        numbers[noun] = numbers.get(noun, 0) + gone.get(name, 0)
    return [count(number, *noun) for noun, number in numbers.items() if number]


def _longest(view: View, name: str, fitting: Callable[[View], str]) -> str:
    """Return the text with as many of the list's items as fit, empty if even one does not."""
    best, low, high = "", 0, len(view[name]["rows"])
    while low < high - 1:
        middle = (low + high) // 2
        text = fitting(kept(view, name, middle))
        best, low, high = (text, middle, high) if text else (best, low, middle)
    return best


def _fitting(text: str, limit: int, size: Callable[[str], int]) -> str:
    return text if size(text) <= limit else ""
