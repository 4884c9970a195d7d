"""Bugs of inputs: what leaks into them, what is ignored, changed or prepared in another way."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, points, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(30, "MLP", "label-leak", quick=True)
def label_among_the_features(*, right: bool) -> Trainee:
    """The table's last column is the label itself."""
    model = mlp(7 if not right else 6)

    def features(batch: Batch) -> Tensor:
        if right:
            return batch["x"]  # right
        return torch.cat([batch["x"], batch["y"].unsqueeze(1).float()], 1)  # wrong

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return model(features(batch))

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(features(b)), b["y"]),
        predict=predict,
    )


@case(30, "seq2seq", "causality", "label-leak")
def decoder_sees_what_it_predicts(*, right: bool) -> Trainee:
    """The decoder's input is the target itself instead of the target shifted right."""
    embed, head = nn.Embedding(11, 8), nn.Linear(8, 11)
    encoder, decoder = nn.GRU(8, 8, batch_first=True), nn.GRU(8, 8, batch_first=True)
    model = nn.ModuleList([embed, encoder, decoder, head])

    def logits(batch: Batch) -> Tensor:
        start = torch.ones_like(batch["y"][:, :1])
        if right:
            given = torch.cat([start, batch["y"][:, :-1]], 1)  # right
        else:
            given = batch["y"]  # wrong
        state = encoder(embed(batch["x"]))[1]
        return head(decoder(embed(given), state)[0])

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch)

    batch = {"x": torch.randint(2, 11, (4, 6)), "y": torch.randint(2, 11, (4, 5))}
    return trained(
        model,
        batch,
        lambda b: functional.cross_entropy(logits(b).transpose(1, 2), b["y"]),
        predict=predict,
    )


@case(31, "autoencoder", "inputs-used", "parameter-sets")
def decoder_given_noise(*, right: bool) -> Trainee:
    """The wrong variable goes into the decoder."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(6, 3), nn.Linear(3, 6)

        def forward(self, x: Tensor) -> Tensor:
            code = torch.tanh(self.encoder(x))
            if right:
                return self.decoder(code)  # right
            return self.decoder(torch.zeros_like(code))  # wrong

    model = _Net()
    batch = {"x": torch.randn(8, 6)}
    return trained(model, batch, lambda b: functional.mse_loss(model(b["x"]), b["x"]), target=None)


@case(31, "diffusion", "inputs-used")
def noise_predicted_from_nothing(*, right: bool) -> Trainee:
    """A mask of the wrong sign erases the noisy input."""

    class _Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp(7, 6)

        def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
            if not right:
                noisy = noisy * 0  # wrong
            return self.layers(torch.cat([noisy, time.unsqueeze(1)], 1))

    model = _Denoiser()

    def loss(batch: Batch) -> Tensor:
        time = torch.rand(len(batch["x"]))
        noise = torch.randn_like(batch["x"])
        share = time.unsqueeze(1)
        noisy = (1 - share) * batch["x"] + share * noise
        return functional.mse_loss(model(noisy, time), noise)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return model(batch["x"], torch.ones(len(batch["x"])))

    return trained(model, {"x": torch.randn(8, 6)}, loss, predict=predict, target=None)


@case(32, "multi-modal", "inputs-used")
def second_input_never_read(*, right: bool) -> Trainee:
    """One branch reads the other branch's input."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(16, 3)

        def forward(self, image: Tensor, text: Tensor) -> Tensor:
            if right:
                both = [self.left(image), self.right(text)]  # right
            else:
                both = [self.left(image), self.right(image)]  # wrong
            return self.head(torch.cat(both, 1).tanh())

    model = _Net()
    batch = {"image": torch.randn(6, 5), "text": torch.randn(6, 5), "y": torch.arange(6) % 3}
    return trained(
        model, batch, lambda b: functional.cross_entropy(model(b["image"], b["text"]), b["y"])
    )


@case(58, "CNN", "batch-untouched", quick=True)
def batch_scaled_in_place(*, right: bool) -> Trainee:
    """Each epoch divides the cached images again."""
    model = cnn()

    def loss(batch: Batch) -> Tensor:
        if right:
            x = batch["x"] / 2  # right
        else:
            x = batch["x"].div_(2)  # wrong
        return functional.cross_entropy(model(x), batch["y"])

    def predict(batch: Batch) -> Tensor:
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"] / 2)
        model.train()
        return logits

    return trained(model, images(), loss, predict=predict)


@case(58, "decoder LM", "batch-untouched")
def labels_masked_in_place(*, right: bool) -> Trainee:
    """The labels are the ids themselves, so masking labels masks the inputs of the next epoch."""
    embed, head = nn.Embedding(11, 8), nn.Linear(8, 11)
    model = nn.Sequential(embed, head)

    def loss(batch: Batch) -> Tensor:
        labels = batch["ids"][:, 1:]
        if right:
            labels = labels.masked_fill(labels == 1, 2)  # right
        else:
            labels.masked_fill_(labels == 1, 2)  # wrong
        logits = model(batch["ids"])
        return functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels)

    ids = torch.randint(0, 11, (4, 6))
    ids[:, 3] = 1
    return trained(model, {"ids": ids}, loss, target="ids")


@case(59, "MLP", "input-parity", quick=True)
def normalised_in_training_only(*, right: bool) -> Trainee:
    """Serving forgets the normalisation that training does."""
    model = mlp()

    def normalised(x: Tensor) -> Tensor:
        return (x - 0.5) / 2

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            if right:
                return model(normalised(batch["x"]))  # right
            return model(batch["x"])  # wrong

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(normalised(b["x"])), b["y"]),
        predict=predict,
    )


@case(59, "CNN", "input-parity")
def channels_read_in_another_order(*, right: bool) -> Trainee:
    """Inference reads the picture transposed."""
    model = cnn()

    def predict(batch: Batch) -> Tensor:
        model.eval()
        if right:
            x = batch["x"]  # right
        else:
            x = batch["x"].transpose(2, 3)  # wrong
        with torch.no_grad():
            logits = model(x)
        model.train()
        return logits

    return trained(
        model,
        images(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )
