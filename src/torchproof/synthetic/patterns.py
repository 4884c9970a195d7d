"""Images in which a pattern is planted."""

from __future__ import annotations

import torch

from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import CPU, Source, below, happens, order, scaled


_EDGE = 4  # pixels along a pattern's edge
_GREYS = 16
MAX_CLASSES = 64
MAX_SIDE = 256


def images(
    size: int = 1024, *, classes: int = 4, side: int = 12, noise: float = 0.0, seed: int = 0
) -> SyntheticDataset:
    """Grey images with one of several patterns at a random place.

    Every pixel is a random grey in [0, 1/2); the eight pixels of the pattern are brighter by 1/2.
    All patterns have eight pixels and none is another one moved, so brightness says nothing and
    shape says all. With probability ``noise`` the label is one of the other classes.

    Returns:
        x (size, 1, side, side) float32, y (size,) int64; best accuracy 1 - noise.
    """
    source = Source("images", 1, arguments.start(seed))
    size, classes = arguments.rows(size), arguments.whole("classes", classes, 2, MAX_CLASSES)
    side = arguments.whole("side", side, _EDGE, MAX_SIDE)
    noise = arguments.number("noise", noise, 0, 1 - 1 / classes)
    shown = below(source, "pattern", (size,), classes)
    grey = below(source, "grey", (size, side, side), _GREYS // 2)
    bright = _planted(source, shown, _patterns(source, classes), side)
    other = shown + 1 + below(source, "other", (size,), classes - 1)
    y = torch.where(happens(source, "wrong", (size,), noise), other % classes, shown)
    x = scaled(grey + bright * (_GREYS // 2), _GREYS)[:, None]
    best = Best("accuracy", 1 - noise, 1 / classes, "higher")
    return SyntheticDataset(source, {"x": x, "y": y}, shown, best)


def _patterns(source: Source, count: int) -> torch.Tensor:
    """Return different masks (count, 4, 4) that touch the top and the left edge."""
    found: list[torch.Tensor] = []
    tries = 0
    while len(found) < count:
        pixels = order(source, f"mask/{tries}", 1, _EDGE * _EDGE)[0] < _EDGE * _EDGE // 2
        mask = pixels.view(_EDGE, _EDGE)
        new = not any(torch.equal(mask, other) for other in found)
        if new and bool(mask[0].any()) and bool(mask[:, 0].any()):
            found.append(mask)
        tries += 1
    return torch.stack(found)


def _planted(
    source: Source, shown: torch.Tensor, patterns: torch.Tensor, side: int
) -> torch.Tensor:
    """Return which pixels (size, side, side) belong to the pattern of each row."""
    corner = below(source, "corner", (len(shown), 2), side - _EDGE + 1)
    pixel = torch.arange(side, device=CPU) - corner[:, :, None]
    inside = (pixel >= 0) & (pixel < _EDGE)
    row, column = pixel.clamp(0, _EDGE - 1).unbind(1)
    on = patterns[shown[:, None, None], row[:, :, None], column[:, None, :]]
    return on & inside[:, 0, :, None] & inside[:, 1, None, :]
