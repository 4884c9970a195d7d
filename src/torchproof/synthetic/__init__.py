"""Synthetic data whose bytes are the same on every CPU and whose best metric is known.

Each generator returns a `SyntheticDataset`: tensors, a version, a fingerprint, and the best value
that any model can reach. All numbers come from SHAKE128 and integer arithmetic, so that a number
which a test expects holds wherever the test runs. The version of a generator rises when its bytes
change; its first rows do not depend on ``size``.
"""

from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.labels import classification, imbalanced, noisy_labels
from torchproof.synthetic.markov import markov_text
from torchproof.synthetic.patterns import images
from torchproof.synthetic.relations import graphs, ranking
from torchproof.synthetic.targets import regression
from torchproof.synthetic.tasks import adding, copy, parity, reverse


__all__ = [
    "Best",
    "SyntheticDataset",
    "adding",
    "classification",
    "copy",
    "graphs",
    "images",
    "imbalanced",
    "markov_text",
    "noisy_labels",
    "parity",
    "ranking",
    "regression",
    "reverse",
]
