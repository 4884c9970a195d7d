"""What must hold on every push, on a CPU."""

import torch
from graphs.model import GraphNet


def test_training_step(proof, build):
    proof(build)


def test_the_architecture_is_the_one_that_was_agreed_on(proof, splits):
    batch = splits[0][:2]
    proof.architecture(GraphNet(), {"x": batch.x, "edges": batch["edges"]}, name="graph-net")


def rows(data):
    """Write each graph as one row: two are the same when features and edges are."""
    return torch.cat([data.x, data["edges"]], dim=-1)


def test_the_graphs_are_what_is_expected(proof, splits):
    training, validation = splits
    proof.dataset(
        "graphs",
        splits={"train": rows(training), "validation": rows(validation)},
        expect={"dtype": "float32", "range": (0, 1)},
    )
