"""Classification: plain, imbalanced, and with labels that are partly wrong.

Inputs lie in boxes around corners of a cube, far enough apart that a linear model tells the boxes
from each other; what makes the task uncertain is only how labels follow boxes. So the best metric
is a formula in the noise.
"""

from __future__ import annotations

import torch

from torchproof.errors import UsageError
from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import CPU, Source, below, happens, scaled


_JITTER = 64  # places along an edge of a box
_UNIT = 128  # of these is one unit of x
MAX_CLASSES = 1024
MAX_FEATURES = 4096


def classification(
    size: int = 1024, *, classes: int = 2, features: int = 8, noise: float = 0.1, seed: int = 0
) -> SyntheticDataset:
    """Balanced classes, of which a known share of labels is wrong.

    A row lies in the box of a class; its label is that class, or with probability ``noise`` one of
    the others. The Bayes error is ``noise``.

    Returns:
        x (size, features) float32, y (size,) int64; best accuracy 1 - noise.
    """
    source = Source("classification", 1, arguments.start(seed))
    size, classes = arguments.rows(size), arguments.whole("classes", classes, 2, MAX_CLASSES)
    noise = arguments.number("noise", noise, 0, 1 - 1 / classes)
    box = below(source, "box", (size,), classes)
    other = box + 1 + below(source, "other", (size,), classes - 1)
    wrong = happens(source, "wrong", (size,), noise)
    y = torch.where(wrong, other % classes, box)
    x = _inside(source, box, classes, features)
    best = Best("accuracy", 1 - noise, 1 / classes, "higher")
    return SyntheticDataset(source, {"x": x, "y": y}, box, best)


def imbalanced(
    size: int = 4096, *, share: float = 0.05, features: int = 8, noise: float = 0.1, seed: int = 0
) -> SyntheticDataset:
    """Two classes of which one is rare, and inputs that show the wrong class now and then.

    A label is 1 with probability ``share``; its row lies in the box of its class, or with
    probability ``noise`` in the other one. Where ``share`` is less than ``noise``, to answer 0 for
    everything has the best accuracy, so the metric is the balanced one: the mean of the
    accuracies on either class.

    Returns:
        x (size, features) float32, y (size,) int64; best balanced accuracy 1 - noise.
    """
    source = Source("imbalanced", 1, arguments.start(seed))
    size, share = arguments.rows(size), arguments.number("share", share, 2**-16, 1)
    noise = arguments.number("noise", noise, 0, 0.5)
    y = happens(source, "rare", (size,), share).to(torch.int64)
    box = y ^ happens(source, "wrong", (size,), noise).to(torch.int64)
    x = _inside(source, box, 2, features)
    best = Best("balanced accuracy", 1 - noise, 0.5, "higher")
    return SyntheticDataset(source, {"x": x, "y": y}, box, best)


def noisy_labels(
    size: int = 4096, *, classes: int = 4, features: int = 8, noise: float = 0.3, seed: int = 0
) -> SyntheticDataset:
    """Labels to train on that are partly wrong, and the right ones to judge with.

    With probability ``noise`` a label is not its class but the next one. Most labels of a box are
    right, so the right ones can be learned without an error; who learns the wrong ones by heart
    does worse.

    Returns:
        x (size, features) float32, y (size,) int64, clean (size,) int64; best accuracy on
        ``clean`` 1.
    """
    source = Source("noisy_labels", 1, arguments.start(seed))
    size, classes = arguments.rows(size), arguments.whole("classes", classes, 2, MAX_CLASSES)
    noise = arguments.number("noise", noise, 0, 0.5)
    box = below(source, "box", (size,), classes)
    wrong = happens(source, "wrong", (size,), noise)
    y = torch.where(wrong, (box + 1) % classes, box)
    tensors = {"x": _inside(source, box, classes, features), "y": y, "clean": box}
    return SyntheticDataset(
        source, tensors, box, Best("clean accuracy", 1.0, 1 / classes, "higher")
    )


def _inside(source: Source, box: torch.Tensor, classes: int, features: int) -> torch.Tensor:
    """Return a point within 1/2 of the corner of each row's box.

    Coordinate ``j`` of a corner shows bit ``j`` of the class, again and again, by its hidden sign.
    """
    bits = (classes - 1).bit_length()
    arguments.whole("features", features, 1, MAX_FEATURES)
    if features < bits:
        what = f"{features} features cannot tell {classes} classes apart"
        raise UsageError(what, f"Give at least {bits}.")
    shift = torch.arange(features, device=CPU) % bits
    hidden = below(source, "signs", (features,), 2)
    sign = 2 * ((box[:, None] >> shift & 1) ^ hidden) - 1
    jitter = 2 * below(source, "place", (len(box), features), _JITTER) + 1 - _JITTER
    return scaled(sign * _UNIT + jitter, _UNIT)
