"""CTC: a transcript is aligned with the whole sequence of its own row."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name
from torch import nn
from torch.nn.utils import rnn

import torchproof


RULE = "sample-pairing"
ROWS, PLACES = 4, 10


class Speech(nn.Module):
    """Scores of letters, (rows, places, letters)."""

    def __init__(self):
        super().__init__()
        self.inner = nn.GRU(5, 12, batch_first=True, bidirectional=True)
        self.outer = nn.Linear(24, 6)

    def forward(self, x, lengths):
        packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        inner, _ = self.inner(packed)
        padded, _ = rnn.pad_packed_sequence(inner, batch_first=True, total_length=x.shape[1])
        return self.outer(padded).log_softmax(-1)


def speech(lay, lengths=(10, 10, 10, 10), model=Speech):
    def build():
        net = model()
        optimizer = torch.optim.Adam(net.parameters(), 1e-3)

        def step(batch):
            optimizer.zero_grad()
            places = lay(net(batch["x"], batch["lengths"]))  # (places, rows, letters)
            whole = torch.full((ROWS,), 3)
            loss = F.ctc_loss(places, batch["text"], batch["lengths"], whole, zero_infinity=True)
            loss.backward()
            optimizer.step()
            return loss

        batch = {
            "x": torch.randn(ROWS, PLACES, 5),
            "lengths": torch.tensor(lengths),
            "text": torch.randint(1, 6, (ROWS, 3)),
        }
        return torchproof.Trainee(net, batch, step, target="text", optimizer=optimizer)

    return build


class Quiet(Speech):
    """Whatever lies behind the end of a row is silent."""

    def forward(self, x, lengths):
        rows = torch.arange(x.shape[1]) < lengths[:, None]
        return super().forward(x, lengths).masked_fill(~rows[..., None], -10.0)


class Normalised(Speech):
    """Rows share the statistics of all."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x, lengths):
        return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2), lengths)


def viewed(scores):
    return scores.reshape(PLACES, ROWS, -1)


def transposed(scores):
    return scores.transpose(0, 1)


@pytest.mark.parametrize("model", [Speech, Normalised])
def test_places_and_rows_that_are_viewed_as_one_another(caught, model):
    finding, _ = caught(RULE, speech(viewed, model=model))
    assert "CTC aligns the label of row 0 with a sequence that row 1 has made" in finding.message
    assert "transpose(0, 1)" in finding.remedy


@pytest.mark.parametrize("lengths", [(10, 10, 10, 10), (10, 7, 9, 6)])
@pytest.mark.parametrize("model", [Speech, Quiet, Normalised])
def test_rows_and_places_that_change_places_are_silent(model, lengths):
    assert not torchproof.prove(speech(transposed, lengths, model), rules=[RULE]).findings
