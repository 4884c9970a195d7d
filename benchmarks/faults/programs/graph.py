"""Bugs of the graph: what no gradient reaches."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, images, mlp, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(9, "CNN", "parameter-sets", quick=True)
def features_detached(*, right: bool) -> Trainee:
    """A ``detach`` left in ``forward`` cuts the body off."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            features = functional.relu(self.body(x)).mean((2, 3))
            if right:
                return self.head(features)  # right
            return self.head(features.detach())  # wrong

    model = _Net()
    return trained(model, images(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(9, "VAE", "parameter-sets")
def latent_sampled_without_gradient(*, right: bool) -> Trainee:
    """``sample`` cuts the encoder off where ``rsample`` does not."""

    class _Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(6, 4), nn.Linear(2, 6)

        def forward(self, x: Tensor) -> Tensor:
            mean, spread = self.encoder(x).chunk(2, 1)
            latent = torch.distributions.Normal(mean, spread.exp())
            if not self.training:
                return self.decoder(mean)
            if right:
                return self.decoder(latent.rsample())  # right
            return self.decoder(latent.sample())  # wrong

    model = _Vae()
    batch = {"x": torch.randn(8, 6)}
    return trained(model, batch, lambda b: functional.mse_loss(model(b["x"]), b["x"]), target=None)


@case(9, "GAN", "parameter-sets", "missing-update")
def generator_judged_on_detached_fakes(*, right: bool) -> Trainee:
    """The fakes are detached for the generator's own loss as well."""
    generator, critic = mlp(4, 6), mlp(6, 1)
    for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)

    def step(batch: Batch) -> Tensor:
        fake = generator(batch["noise"])
        for_critic.zero_grad()
        told = functional.softplus(critic(fake.detach())) + functional.softplus(-critic(batch["x"]))
        told.mean().backward()
        for_critic.step()
        for_generator.zero_grad()
        if right:
            deceived = functional.softplus(-critic(fake)).mean()  # right
        else:
            deceived = functional.softplus(-critic(fake.detach())).mean()  # wrong
        deceived.backward()
        for_generator.step()
        return deceived.detach()

    batch = {"x": torch.randn(8, 6), "noise": torch.randn(8, 4)}
    return Trainee({"generator": generator, "critic": critic}, batch, step, target=None)


@case(10, "GRU", "parameter-sets")
def features_without_gradient(*, right: bool) -> Trainee:
    """``no_grad`` around an encoder that is meant to train."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            if right:
                features = self.encoder(x)[0]  # right
            else:
                with torch.no_grad():
                    features = self.encoder(x)[0]  # wrong
            return self.head(features[:, -1])

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(11, "MLP", "parameter-sets")
def gradient_lost_in_data(*, right: bool) -> Trainee:
    """``.data`` is not part of the graph."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.first(x))
            if right:
                scaled = hidden / hidden.norm(dim=1, keepdim=True)  # right
            else:
                scaled = hidden.data / hidden.data.norm(dim=1, keepdim=True)  # wrong
            return self.second(scaled)

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(11, "graph net", "parameter-sets")
def graph_broken_by_item(*, right: bool) -> Trainee:
    """A tensor made again from numbers forgets where they came from."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.message, self.read = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
            heard = torch.relu(edges @ self.message(nodes))
            pooled = heard.sum(1)
            if not right:
                pooled = torch.tensor(pooled.tolist())  # wrong
            return self.read(pooled)

    model = _Net()
    edges = torch.randint(0, 2, (6, 5, 5)).float()
    batch = {"nodes": torch.randn(6, 5, 3), "edges": edges, "y": torch.arange(6) % 2}
    return trained(
        model, batch, lambda b: functional.cross_entropy(model(b["nodes"], b["edges"]), b["y"])
    )


@case(12, "autoencoder", "parameter-sets")
def wrong_tensor_passed_on(*, right: bool) -> Trainee:
    """The second layer's result is dropped."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.back = (nn.Linear(6, 6) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            first = torch.tanh(self.first(x))
            second = torch.tanh(self.second(first))
            if right:
                return self.back(second)  # right
            return self.back(first)  # wrong

    model = _Net()
    batch = {"x": torch.randn(8, 6)}
    return trained(model, batch, lambda b: functional.mse_loss(model(b["x"]), b["x"]), target=None)


@case(11, "quantised network", "parameter-sets")
def code_rounded(*, right: bool) -> Trainee:
    """``round`` passes no gradient on, unless it is led past it."""
    encoder, decoder = nn.Linear(6, 8), nn.Linear(8, 3)

    def loss(batch: Batch) -> Tensor:
        code = encoder(batch["x"])
        if right:
            code = code + (code.round() - code).detach()  # right
        else:
            code = code.round()  # wrong
        return functional.cross_entropy(decoder(code), batch["y"])

    return trained(nn.Sequential(encoder, decoder), points(), loss)
