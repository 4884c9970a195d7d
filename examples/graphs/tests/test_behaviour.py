"""What the trained model can do, each capability a test of its own."""

import pytest
import torch
from graphs.train import accuracy, predict

pytestmark = pytest.mark.integration


def answer(model, graphs):
    """Return what the model says of every node, graph by graph."""
    x = torch.stack([x for x, _ in graphs])
    edges = torch.stack([edges for _, edges in graphs])
    return predict(model, {"x": x, "edges": edges}).argmax(-1)


def pairs(data, count):
    return list(zip(data.x[:count], data["edges"][:count]))


def test_it_is_as_good_as_a_model_can_be(proof, splits, trained_model):
    _, validation = splits
    value = accuracy(trained_model, validation)
    proof.metric("val/accuracy", value, better="higher", unit="ratio")
    proof.metric("baseline/accuracy", validation.best.chance, better="higher", unit="ratio")
    assert validation.best.reached(value, within=0.05)


def test_the_order_of_the_nodes_does_not_matter(proof, splits, trained_model):
    """Each graph is written down in another order; its nodes' answers are counted."""
    _, validation = splits

    def turned(graph):
        x, edges = graph
        return x.roll(3, 0), edges.roll((3, 3), (0, 1))

    proof.behaviour(
        "node order",
        kind="INV",
        inputs=pairs(validation, 50),
        perturb=turned,
        predict=lambda graphs: answer(trained_model, graphs).sum(1),
    )


def test_a_lonely_view_is_right(proof, splits, trained_model):
    """Where all nodes are alike, each node's neighbours are what it is."""
    _, validation = splits
    same = [
        (torch.full_like(x, i % 2), edges) for i, (x, edges) in enumerate(pairs(validation, 40))
    ]
    proof.behaviour(
        "uniform graphs",
        kind="MFT",
        inputs=same,
        expect=[i % 2 * x.shape[0] for i, (x, _) in enumerate(same)],
        predict=lambda graphs: answer(trained_model, graphs).sum(1),
        slices={"of ones": torch.arange(40) % 2 == 1},
    )
