"""scikit-learn's handwritten digits: 1,797 grey images of 8 × 8 pixels in ten classes."""

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits


class Split(NamedTuple):
    """Images (N, 1, 8, 8) with values in [0, 1], and their labels (N,)."""

    images: torch.Tensor
    labels: torch.Tensor


def load() -> tuple[Split, Split]:
    """Return the training and validation splits: every fifth image validates."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    held_out = torch.arange(len(labels)) % 5 == 0
    return Split(images[~held_out], labels[~held_out]), Split(images[held_out], labels[held_out])


def batches(split: Split, size: int):
    """Yield shuffled batches as dictionaries with ``x`` and ``y``."""
    order = torch.randperm(len(split.labels))
    for rows in order.split(size):
        yield {"x": split.images[rows], "y": split.labels[rows]}
