"""A text whose entropy is known: no model can need fewer than 1.75 bits for a symbol."""

import torchproof

SYMBOLS = 12
LENGTH = 24


def load():
    """Return the training and validation sequences, each with ``x`` and the next symbols ``y``."""
    text = torchproof.synthetic.markov_text(3328, length=LENGTH, symbols=SYMBOLS, branches=4)
    return text.split(3072)
