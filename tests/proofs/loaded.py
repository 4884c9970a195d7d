"""Data sets and trainees for the rules about loaders."""

from __future__ import annotations

import torch
import zoo
from torch.utils.data import Dataset, IterableDataset, TensorDataset


ROWS = 24
PLAIN = TensorDataset(torch.arange(ROWS * 4.0).reshape(ROWS, 4), torch.arange(ROWS) % 3)


def trained_from(make_loader):
    """Make a build whose trainee has a loader of its own each time."""
    return lambda: zoo.classifier(zoo.mlp(), zoo.classes(4), loader=make_loader())


class Augmented(Dataset):
    """Samples with noise from ``draw(self, index)``."""

    def __init__(self, draw, **held):
        self.draw = draw
        self.__dict__.update(held)

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return {"x": torch.full((4,), float(index)) + self.draw(self, index), "y": index % 3}


class Stream(IterableDataset):
    """The rows that ``share(rows)`` leaves to a worker."""

    def __init__(self, share, rows=ROWS):
        self.share, self.rows = share, rows

    def __iter__(self):
        for row in self.share(range(self.rows)):
            yield torch.full((4,), float(row)), row % 3
