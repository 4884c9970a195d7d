"""Right programs whose labels, rows or predictions are used in an unusual way."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

from torchproof import Trainee


def learner(model, batch, loss_of, **options):
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, batch, step, **options)


def labelled(*shape):
    """All three classes, so that neighbours differ."""
    return {"x": torch.randn(6, *shape), "y": torch.tensor([0, 1, 2, 1, 0, 2])}


def mixup_with_the_reversed_batch():
    def loss_of(model, batch):
        logits = model(0.7 * batch["x"] + 0.3 * batch["x"].flip(0))
        return 0.7 * F.cross_entropy(logits, batch["y"]) + 0.3 * F.cross_entropy(
            logits, batch["y"].flip(0)
        )

    return learner(zoo.mlp(), labelled(4), loss_of)


def mixup_of_hidden_layers():
    first, second = nn.Linear(4, 8), nn.Linear(8, 3)

    def loss_of(_, batch):
        order = torch.randperm(6)
        hidden = first(batch["x"]).relu()
        logits = second(0.6 * hidden + 0.4 * hidden[order])
        return 0.6 * F.cross_entropy(logits, batch["y"]) + 0.4 * F.cross_entropy(
            logits, batch["y"][order]
        )

    return learner(nn.ModuleList([first, second]), labelled(4), loss_of)


def shuffled_together():
    def loss_of(model, batch):
        order = torch.randperm(6)
        return F.cross_entropy(model(batch["x"][order]), batch["y"][order])

    return learner(zoo.mlp(), labelled(4), loss_of)


def supervised_contrastive():
    def loss_of(model, batch):
        code = F.normalize(model(batch["x"]), dim=1)
        alike = (batch["y"][:, None] == batch["y"]).float()
        log = (code @ code.T / 0.5).log_softmax(1)
        return -(alike * log).sum(1).div(alike.sum(1)).mean()

    return learner(zoo.mlp(4, 8), labelled(4), loss_of)


def triplets_of_hard_examples():
    def loss_of(model, batch):
        code = model(batch["x"])
        gaps = (code[:, None] - code).pow(2).sum(2)
        alike = batch["y"][:, None] == batch["y"]
        far = (gaps * alike).amax(1)
        near = gaps.masked_fill(alike, 1e9).amin(1)
        return F.relu(far - near + 0.1).mean()

    return learner(zoo.mlp(4, 8), labelled(4), loss_of)


def prototypes_of_classes():
    """Labels choose which rows stand for their class."""

    def loss_of(model, batch):
        order = batch["y"].argsort(stable=True)
        code = model(batch["x"][order]).unflatten(0, (3, 2))
        means, asked = code[:, 0], code[:, 1]
        return F.cross_entropy(-torch.cdist(asked, means), torch.arange(3))

    return learner(zoo.mlp(4, 8), labelled(4), loss_of)


def weighted_classes_and_hard_examples():
    weights = torch.tensor([0.2, 0.3, 0.5])

    def loss_of(model, batch):
        each = F.cross_entropy(model(batch["x"]), batch["y"], weight=weights, reduction="none")
        return each.topk(3).values.mean() + F.cross_entropy(
            model(batch["x"]), batch["y"], weight=weights
        )

    return learner(zoo.mlp(), labelled(4), loss_of)


def time_before_rows():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.head = nn.GRU(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.gru(x.transpose(0, 1))[0])

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].T.flatten())

    x = torch.randn(6, 5, 4)
    x[:, 0] = 1.0  # the same start everywhere
    return learner(Reader(), {"x": x, "y": torch.randint(0, 3, (6, 5))}, loss_of)


def batch_norm_in_front():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
    return learner(model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]))


def angular_margin_in_the_model():
    class Margin(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.centres = zoo.mlp(4, 8), nn.Parameter(torch.randn(3, 8))

        def forward(self, x, labels=None):
            cosine = F.normalize(self.body(x)) @ F.normalize(self.centres).T
            margin = 0 if labels is None else 0.2 * F.one_hot(labels, 3)
            return 8 * (cosine - margin)

    return learner(
        Margin(), labelled(4), lambda m, b: F.cross_entropy(m(b["x"], labels=b["y"]), b["y"])
    )


def diffusion_for_a_class():
    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.embed = nn.Linear(5, 4), nn.Embedding(3, 4)

        def forward(self, x, time, y):
            return self.body(torch.cat([x, time], 1)) + self.embed(y)

    def loss_of(model, batch):
        time, noise = torch.rand(6, 1), torch.randn(6, 4)
        noisy = (1 - time) * batch["x"] + time * noise
        return F.mse_loss(model(noisy, time, batch["y"]), noise)

    return learner(Denoiser(), labelled(4), loss_of)


def two_views_and_no_labels():
    def loss_of(model, batch):
        codes = [F.normalize(model(batch["x"] + 0.1 * torch.randn(6, 4)), dim=1) for _ in range(2)]
        return F.cross_entropy(codes[0] @ codes[1].T, torch.arange(6))

    return learner(zoo.mlp(4, 8), labelled(4), loss_of, target=None)


def autoencoder_beside_labels():
    return learner(zoo.mlp(4, 4), labelled(4), lambda m, b: F.mse_loss(m(b["x"]), b["x"]))


def autoencoder_that_samples():
    class Sampler(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(2, 4)

        def forward(self, x):
            mean, spread = self.encode(x).chunk(2, 1)
            return self.decode(mean + torch.randn_like(mean) * spread.exp())

    return learner(
        Sampler(), {"x": torch.randn(6, 4)}, lambda m, b: F.mse_loss(m(b["x"]), b["x"]), target=None
    )


def monte_carlo_dropout():
    model = zoo.mlp()

    def predict(batch):
        model.train()
        with torch.no_grad():
            return torch.stack([model(batch["x"]).softmax(1) for _ in range(4)]).mean(0)

    return learner(
        model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), predict=predict
    )


def sampler_with_a_generator_of_its_own():
    model = zoo.mlp()

    def predict(batch):
        dice = torch.Generator().manual_seed(0)
        model.eval()
        with torch.no_grad():
            return model(batch["x"] + 0.01 * torch.randn(batch["x"].shape, generator=dice))

    return learner(
        model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), predict=predict
    )


def sampling_that_puts_the_seed_back():
    model = zoo.mlp()

    def predict(batch):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            return model.eval()(batch["x"] + torch.randn_like(batch["x"]))

    return learner(
        model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), predict=predict
    )


def generator_of_noise():
    generator, critic = zoo.mlp(2, 4), zoo.mlp(4, 1)
    optimizers = [torch.optim.Adam(each.parameters()) for each in (critic, generator)]

    def step(batch):
        generator.train()
        for sign, optimizer in zip((1, -1), optimizers):
            optimizer.zero_grad()
            fake = critic(generator(torch.randn(6, 2)))
            loss = sign * (fake.mean() - (critic(batch["x"]).mean() if sign > 0 else 0))
            loss.backward()
            optimizer.step()
        return loss

    return Trainee(
        (generator, critic),
        {"x": torch.randn(6, 4)},
        step,
        target=None,
        predict=lambda batch: generator.eval()(torch.randn(6, 2)).detach(),
    )


def head_of_zeros():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.zeros_(model[2].weight)
    return learner(model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]))


def dead_units():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.constant_(model[0].bias, -100.0)
    return learner(model, labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]))


def labels_as_numbers_and_smoothing():
    def loss_of(model, batch):
        soft = F.one_hot(batch["y"], 3).float() * 0.9 + 0.1 / 3
        return F.cross_entropy(model(batch["x"]), soft)

    return learner(zoo.mlp(), labelled(4), loss_of)


RIGHT = [
    mixup_with_the_reversed_batch,
    mixup_of_hidden_layers,
    shuffled_together,
    supervised_contrastive,
    triplets_of_hard_examples,
    prototypes_of_classes,
    weighted_classes_and_hard_examples,
    time_before_rows,
    batch_norm_in_front,
    angular_margin_in_the_model,
    diffusion_for_a_class,
    two_views_and_no_labels,
    autoencoder_beside_labels,
    autoencoder_that_samples,
    monte_carlo_dropout,
    sampler_with_a_generator_of_its_own,
    sampling_that_puts_the_seed_back,
    generator_of_noise,
    head_of_zeros,
    dead_units,
    labels_as_numbers_and_smoothing,
]
