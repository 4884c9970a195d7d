"""The proof of one model: a tiny configuration, the batch of its task, and the usual step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.real_models.configs import tiny
from benchmarks.real_models.tasks import TASKS, waivers

import torchproof


if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PARAMETERS = 4_000_000


@dataclass(frozen=True)
class Outcome:
    """What the rules say of one model; ``not_run`` is why there is no proof."""

    task: str
    model: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waived: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    not_run: str = ""


def outcome(task: str, kind: Any) -> Outcome:
    """Prove a class of ``transformers``; what cannot be built or trained is ``not_run``."""
    try:
        proof = torchproof.prove(trainee_of(task, kind))
    except Exception as error:  # noqa: BLE001 - any of their classes may refuse a tiny model
        why = f"{type(error).__name__}: {error}".split("\n")[0]
        return Outcome(task, kind.__name__, not_run=why)
    return Outcome(
        task,
        kind.__name__,
        errors=_said(proof, "error"),
        warnings=_said(proof, "warning"),
        waived=[each.rule for each in proof.findings if each.waived],
        skipped=proof.skipped,
        seconds=proof.cost.seconds,
    )


def trainee_of(task: str, kind: Any) -> Callable[[], torchproof.Trainee]:
    """Return the ``build`` of a model's trainee."""
    wanted = TASKS[task]
    config = tiny(kind.config_class, wanted.changes)
    _check_size(kind, config)

    def build() -> torchproof.Trainee:
        model = kind(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

        def step(batch: dict[str, torch.Tensor]) -> Any:
            model.train()
            optimizer.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            return loss

        def predict(batch: dict[str, torch.Tensor]) -> Any:
            model.eval()
            with torch.no_grad():
                return model(**_unlabelled(batch)).logits

        return torchproof.Trainee(
            model,
            wanted.batch(config, model),
            step,
            predict=predict if wanted.predicts else None,
            target="labels",
            waive=waivers(kind.__name__),
        )

    return build


def as_row(found: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values."""
    return asdict(found)


def _said(proof: torchproof.Proof, grade: str) -> list[str]:
    found = [each for each in proof.findings if each.severity == grade and not each.waived]
    return [f"{each.rule}: {each.message}" for each in found]


def _unlabelled(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in batch.items() if name != "labels"}


def _check_size(kind: Any, config: Any) -> None:
    """Refuse a model that the configuration has not made tiny, before it takes memory."""
    with torch.device("meta"):
        sizes = {name: each.numel() for name, each in kind(config).named_parameters()}
    if sum(sizes.values()) > _MOST_PARAMETERS:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ValueError(f"{sum(sizes.values()):,} parameters, most of them in {largest}")
