"""The proof of one model: a tiny configuration, the batch of its task, and the usual step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.real_models.tasks import NOT_TRAINED, TASKS, waivers

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
    if kind.__name__ in NOT_TRAINED:
        return Outcome(task, kind.__name__, not_run=NOT_TRAINED[kind.__name__])
    try:
        proof = torchproof.prove(trainee_of(task, kind))
    except Exception as error:  # noqa: BLE001 - any of their classes may refuse a tiny model
        why = f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]
        return Outcome(task, kind.__name__, not_run=why)
    return Outcome(
        task,
        kind.__name__,
        errors=_said(proof, "error"),
        warnings=_said(proof, "warning"),
        waived=[f"{each.rule}: {each.waived}" for each in proof.findings if each.waived],
        skipped=proof.skipped,
        seconds=proof.cost.seconds,
    )


def trainee_of(task: str, kind: Any) -> Callable[[], torchproof.Trainee]:
    """Return the ``build`` of a model's trainee."""
    wanted = TASKS[task]
    config = wanted.config(kind, wanted)
    _check_size(kind, config)

    def build() -> torchproof.Trainee:
        model = kind(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

        def step(batch: dict[str, Any]) -> Any:
            model.train()
            optimizer.zero_grad()
            loss = (wanted.loss or _loss)(model(**_arguments(batch)), batch)
            loss.backward()
            optimizer.step()
            return loss

        def predict(batch: dict[str, Any]) -> Any:
            model.eval()
            with torch.no_grad():
                output = model(**_unlabelled(batch))
            answers = [output[name] for name in wanted.answers if name in output]
            answers = answers or [_scores(output)]
            return answers if len(answers) > 1 else answers[0]

        batch = wanted.batch(config, model)

        return torchproof.Trainee(
            model,
            batch,
            step,
            predict=predict if wanted.predicts else None,
            target="labels" if "labels" in batch else None,
            waive=waivers(kind.__name__),
        )

    return build


def as_row(found: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values."""
    return asdict(found)


def _said(proof: torchproof.Proof, grade: str) -> list[str]:
    found = [each for each in proof.findings if each.severity == grade and not each.waived]
    return [f"{each.rule}: {each.message}" for each in found]


def _arguments(batch: dict[str, Any]) -> dict[str, Any]:
    labels = batch.get("labels")
    return {**_unlabelled(batch), **labels} if isinstance(labels, dict) else batch


def _loss(output: Any, batch: dict[str, Any]) -> Any:
    """Return the model's loss; a few classifiers leave it to the caller."""
    if "loss" in output:
        return output["loss"]
    return torch.nn.functional.cross_entropy(_scores(output), batch["labels"])


def _scores(output: Any) -> Any:
    return output["logits"] if "logits" in output else output["last_hidden_state"]


def _unlabelled(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


def _check_size(kind: Any, config: Any) -> None:
    """Refuse a model that the configuration has not made tiny, before it takes memory."""
    with torch.device("meta"):
        sizes = {name: each.numel() for name, each in kind(config).named_parameters()}
    if sum(sizes.values()) > _MOST_PARAMETERS:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ValueError(f"{sum(sizes.values()):,} parameters, most of them in {largest}")
