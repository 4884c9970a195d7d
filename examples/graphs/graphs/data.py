"""Graphs in which one label of ten is wrong: no model can be right more often than in 90 %."""

import torchproof

NODES = 12


def load():
    """Return the training and validation graphs, each with ``x``, ``edges`` and ``y``."""
    return torchproof.synthetic.graphs(1024, nodes=NODES, noise=0.1).split(768)
