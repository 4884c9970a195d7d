"""Regression with a known noise floor."""

from __future__ import annotations

from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import BELL_VARIANCE, Source, bell, below, scaled


_X = 64  # x is a multiple of 1/64 in [-1, 1)
_W = 4  # weights are multiples of 1/4 in [-2, 2]
_NOISE = 256  # the noise's scale is a multiple of 1/256
_BELL = 256  # so many of bell's integers are one standard deviation
_UNIT = _BELL * _NOISE
MAX_FEATURES = 16  # with more, float32 could not hold every y exactly
MAX_NOISE = 4


def regression(
    size: int = 1024, *, features: int = 8, noise: float = 0.25, seed: int = 0
) -> SyntheticDataset:
    """A linear function of the inputs plus noise.

    y = w·x + noise·n: x uniform on the multiples of 1/64 in [-1, 1), w hidden, n the sum of twelve
    integers uniform in [0, 256), less its mean and divided by 256, whose variance is 1 - 2**-16.
    ``noise`` is rounded to a multiple of 1/256.

    Returns:
        x (size, features) float32, y (size,) float32; best mse noise² (1 - 2**-16).
    """
    source = Source("regression", 1, arguments.start(seed))
    size = arguments.rows(size)
    features = arguments.whole("features", features, 1, MAX_FEATURES)
    level = round(arguments.number("noise", noise, 0, MAX_NOISE) * _NOISE)
    x = below(source, "x", (size, features), 2 * _X) - _X
    # Odd, so that no weight is 0 and a constant is never the best answer.
    w = 2 * below(source, "w", (features,), 2 * _W) + 1 - 2 * _W
    signal = (x * w).sum(-1) * (_UNIT // (_X * _W))
    y = scaled(signal + bell(source, "noise", (size,)) * level, _UNIT)
    floor = (level / _NOISE) ** 2 * BELL_VARIANCE / _BELL**2
    spread = float((w * w).sum()) / _W**2 * (4 * _X**2 - 1) / (12 * _X**2)
    best = Best("mse", floor, floor + spread, "lower")
    return SyntheticDataset(source, {"x": scaled(x, _X), "y": y}, scaled(signal, _UNIT), best)
