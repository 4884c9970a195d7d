"""A task that models are trained for, and the tokens that many tasks are made of."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.real_models.configs import WORDS, tiny
from benchmarks.real_models.sizes import SIZES


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS, LENGTH, SAMPLES = 4, 12, 1600
NO_LABEL = -100
_LENGTHS = (12, 9, 12, 7)


def _tiny(kind: Any, task: Task) -> Any:
    return tiny(kind.config_class, task.changes, SIZES.get(kind.__name__, {}))


@dataclass(frozen=True)
class Task:
    """A table of ``transformers``, from architecture to class, and what such a class is fed.

    ``labels`` in the batch are one tensor, or several by the names of the model's arguments; a
    batch without them trains the model on its inputs alone.
    """

    table: str
    batch: Callable[[Any, Any], dict[str, Any]]
    predicts: bool = True  # without labels
    changes: tuple[str, ...] = ()  # switches of the configuration that the task needs
    names: tuple[str, ...] = ()  # classes beside those of the table
    answers: tuple[str, ...] = ("logits",)  # the fields of the output that are the prediction
    config: Callable[[Any, Task], Any] = _tiny  # of a class
    loss: Callable[[Any, Any], torch.Tensor] | None = None  # of an output and its batch


def words(lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and their mask, both (rows, positions); two rows end early."""
    ids = torch.randint(*WORDS, (ROWS, LENGTH))
    mask = (torch.arange(LENGTH) < torch.tensor(lengths)[:, None]).long()
    return ids * mask, mask


def text(model: Any) -> dict[str, torch.Tensor]:
    """Return tokens, with their mask and their boxes on a page if the model knows them."""
    arguments = inspect.signature(model.forward).parameters
    known = "attention_mask" in arguments
    ids, mask = words(_LENGTHS if known else [LENGTH] * ROWS)
    read = {"input_ids": ids, "attention_mask": mask} if known else {"input_ids": ids}
    return {**read, "bbox": _boxes(model.config)} if "bbox" in arguments else read


def _boxes(config: Any) -> torch.Tensor:
    """Return the corners of each token on its page: left, top, right, bottom."""
    first = torch.randint(40, (ROWS, LENGTH, 2))
    corners = torch.cat([first, first + torch.randint(1, 40, (ROWS, LENGTH, 2))], -1)
    if not hasattr(config, "dim_bbox"):
        return corners
    order = [0, 1, 2, 1, 2, 3, 0, 3]  # Bros: all four corners, as shares of the page
    return corners[..., order] / 100
