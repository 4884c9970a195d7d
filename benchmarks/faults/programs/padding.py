"""Bugs of padding: what it does to predictions and loss."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, LanguageModel, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


def _padded() -> Batch:
    """Token ids with padding 0 at the end, their mask, and class labels."""
    mask = torch.arange(6) < torch.tensor([[6], [4], [3], [5], [2], [6]])
    ids = torch.randint(1, 11, (6, 6)) * mask
    return {"input_ids": ids, "attention_mask": mask.long(), "y": torch.arange(6) % 3}


@case(43, "Transformer encoder", "padding-ignored")
def padding_attended(*, right: bool) -> Trainee:
    """The padding mask never reaches the encoder."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 3)
            self.encoder = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            x = self.embed(input_ids)
            if right:
                x = self.encoder(x, src_key_padding_mask=attention_mask == 0)  # right
            else:
                x = self.encoder(x)  # wrong
            kept = attention_mask.unsqueeze(2)
            return self.head((x * kept).sum(1) / kept.sum(1))

    model = _Net()
    return trained(
        model,
        _padded(),
        lambda b: functional.cross_entropy(model(b["input_ids"], b["attention_mask"]), b["y"]),
    )


@case(43, "LSTM", "padding-ignored")
def last_step_is_padding(*, right: bool) -> Trainee:
    """The state after the padding stands for the sequence."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 3)
            self.rnn = nn.LSTM(8, 8, batch_first=True)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            states = self.rnn(self.embed(input_ids))[0]
            if right:
                last = attention_mask.sum(1) - 1  # right
            else:
                last = torch.full_like(attention_mask[:, 0], -1)  # wrong
            return self.head(states[torch.arange(len(states)), last])

    model = _Net()
    return trained(
        model,
        _padded(),
        lambda b: functional.cross_entropy(model(b["input_ids"], b["attention_mask"]), b["y"]),
    )


@case(44, "text MLP", "padding-ignored")
def padding_in_the_mean(*, right: bool) -> Trainee:
    """The mean over positions counts the padded ones."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 3)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            x = self.embed(input_ids)
            if right:
                kept = attention_mask.unsqueeze(2)
                pooled = (x * kept).sum(1) / kept.sum(1)  # right
            else:
                pooled = x.mean(1)  # wrong
            return self.head(pooled)

    model = _Net()
    return trained(
        model,
        _padded(),
        lambda b: functional.cross_entropy(model(b["input_ids"], b["attention_mask"]), b["y"]),
    )


@case(44, "graph net", "padding-ignored")
def absent_nodes_in_the_sum(*, right: bool) -> Trainee:
    """Graphs are padded to one size and the readout adds the absent nodes."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.message, self.read = nn.Linear(3, 8), nn.Linear(8, 2)

        def forward(self, nodes: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
            seen = edges * mask.unsqueeze(1)
            heard = torch.relu(self.message(nodes) + seen @ self.message(nodes))
            if right:
                heard = heard * mask.unsqueeze(2)  # right
            return self.read(heard.sum(1))

    model = _Net()
    mask = (torch.arange(5) < torch.tensor([[5], [3], [4], [2]])).float()
    batch = {
        "nodes": torch.randn(4, 5, 3),
        "edges": torch.randint(0, 2, (4, 5, 5)).float(),
        "mask": mask,
        "y": torch.arange(4) % 2,
    }
    return trained(
        model,
        batch,
        lambda b: functional.cross_entropy(model(b["nodes"], b["edges"], b["mask"]), b["y"]),
    )


@case(45, "decoder LM", "padding-ignored", quick=True)
def loss_counts_padding(*, right: bool) -> Trainee:
    """Padded positions are trained to predict padding."""
    model = LanguageModel()

    def loss(batch: Batch) -> Tensor:
        logits, labels = model(batch["input_ids"])[:, :-1], batch["labels"][:, 1:]
        if right:
            labels = labels.masked_fill(batch["attention_mask"][:, 1:] == 0, -100)  # right
        return functional.cross_entropy(logits.transpose(1, 2), labels)

    ids = _padded()
    batch = {
        "input_ids": ids["input_ids"],
        "attention_mask": ids["attention_mask"],
        "labels": ids["input_ids"].clone(),
    }
    return trained(model, batch, loss, target="labels")


@case(45, "seq2seq", "padding-ignored")
def mean_loss_over_padded_targets(*, right: bool) -> Trainee:
    """The loss of each position is averaged without the mask."""
    embed, head = nn.Embedding(11, 8), nn.Linear(8, 11)
    encoder, decoder = nn.GRU(8, 8, batch_first=True), nn.GRU(8, 8, batch_first=True)
    model = nn.ModuleList([embed, encoder, decoder, head])

    def logits(batch: Batch) -> Tensor:
        given = torch.cat([torch.ones_like(batch["y"][:, :1]), batch["y"][:, :-1]], 1)
        return head(decoder(embed(given), encoder(embed(batch["x"]))[1])[0])

    def loss(batch: Batch) -> Tensor:
        each = functional.cross_entropy(logits(batch).transpose(1, 2), batch["y"], reduction="none")
        kept = batch["target_mask"]
        if right:
            return (each * kept).sum() / kept.sum()  # right
        return each.mean()  # wrong

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch)

    mask = (torch.arange(5) < torch.tensor([[5], [3], [4], [2]])).long()
    y = torch.randint(2, 11, (4, 5)) * mask
    batch = {"x": torch.randint(2, 11, (4, 6)), "y": y, "target_mask": mask}
    return trained(model, batch, loss, predict=predict)


@case(46, "decoder LM", "padding-ignored", "label-positions")
def end_of_text_masked_as_padding(*, right: bool) -> Trainee:
    """Padding and end of text share an id, so the model never learns to stop."""
    model = LanguageModel()

    def loss(batch: Batch) -> Tensor:
        logits, labels = model(batch["input_ids"])[:, :-1], batch["labels"][:, 1:]
        if right:
            dropped = batch["attention_mask"][:, 1:] == 0  # right
        else:
            dropped = labels == 0  # wrong
        return functional.cross_entropy(logits.transpose(1, 2), labels.masked_fill(dropped, -100))

    mask = (torch.arange(6) < torch.tensor([[6], [4], [3], [5]])).long()
    ids = torch.randint(1, 11, (4, 6)) * mask
    ids[torch.arange(4), mask.sum(1) - 1] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "labels": ids.clone()}
    return trained(model, batch, loss, target="labels")


@case(47, "decoder LM", "padding-ignored")
def left_padding_moves_the_positions(*, right: bool) -> Trainee:
    """Positions are counted from the padding, not from the first token."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.place = nn.Embedding(11, 8), nn.Embedding(6, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            if right:
                place = (attention_mask.cumsum(1) - 1).clamp_min(0)  # right
            else:
                place = torch.arange(input_ids.shape[1])  # wrong
            kept = attention_mask.unsqueeze(2)
            x = (self.embed(input_ids) + self.place(place)).tanh() * kept
            return self.head(x.sum(1) / kept.sum(1))

    model = _Net()
    batch = {name: value.flip(1) if value.dim() > 1 else value for name, value in _padded().items()}
    return trained(
        model,
        batch,
        lambda b: functional.cross_entropy(model(b["input_ids"], b["attention_mask"]), b["y"]),
    )
