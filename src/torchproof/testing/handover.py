"""`proof.handover`: training and service as one test, its skew as a finding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable

import pytest

from torchproof.behaviour.pair import handover as compare
from torchproof.testing.naming import id_of


if TYPE_CHECKING:
    from torchproof.behaviour.pair import Handover
    from torchproof.testing.fixture import ProofFixture


def handover(
    proof: ProofFixture,
    item: pytest.Item,
    emit: Callable[..., None],
    train: Any,
    serve: str,
    *,
    inputs: Any,
    name: str = "model",
    within: float = 1e-5,
    **options: Any,
) -> Handover:
    """Do what `ProofFixture.handover` says.

    Args:
        proof: Records the difference.
        item: The test.
        emit: Writes one event.
        train: Returns the trained model, or is it.
        serve: The service's ``module:name``.
        inputs: What both are asked.
        name: Of the pair.
        within: How far numbers may be apart.
        **options: See `torchproof.behaviour.pair.handover`: ``predict``, ``save``, ``python``.
    """
    __tracebackhide__ = True
    model = train if hasattr(train, "state_dict") or not callable(train) else train()
    root = item.config.rootpath
    found = compare(model, serve, inputs, within=within, root=root, **options)
    if found.apart is not None and math.isfinite(found.apart):
        proof.metric(f"handover/{name}", found.apart, better="lower", tolerance=within)
    if found.skew is not None:
        cause, message, remedy = found.skew
        emit(
            "finding",
            test=id_of(item.config, item.nodeid),
            rule=f"handover-{cause.replace(' ', '-')}",
            severity="error",
            message=message,
            evidence={} if found.apart is None else {"difference": found.apart},
            remedy=remedy,
        )
        pytest.fail(
            f"torchproof: {serve} does not answer as training did, {cause}: {message}\n{remedy}"
        )
    return found
