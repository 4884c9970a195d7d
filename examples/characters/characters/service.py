"""The inference service: loads the weights and says which symbol comes next."""

import torch

from characters.data import LENGTH, SYMBOLS
from characters.model import Decoder


def load(path):
    """Return the function that answers: sequences (N, T) to the likeliest next symbols (N,)."""
    model = Decoder(SYMBOLS, LENGTH)
    model.load_state_dict(torch.load(path, weights_only=True))
    model.eval()

    @torch.no_grad()
    def answer(x):
        return model(x)[:, -1].argmax(1)

    return answer
