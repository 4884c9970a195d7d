"""Bugs of the class `inputs-used`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "inputs-used"


def fed(given, model=None):
    def loss_of(model, batch):
        return F.cross_entropy(model(given(batch)), batch["y"])

    return pairs.learner(model or zoo.mlp(), pairs.labelled(4), loss_of)


def test_inputs_times_nothing(caught):
    finding, _ = caught(RULE, lambda: fed(lambda batch: batch["x"] * 0))
    assert finding.evidence["largest change"] == 0.0


def test_a_variable_of_another_scope(caught):
    def build():
        x = torch.randn(6, 4)
        return fed(lambda batch: x)

    caught(RULE, build)


def test_a_forward_that_goes_on_with_the_wrong_variable(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.body, self.head = (
                nn.Parameter(torch.randn(1, 8)),
                nn.Linear(4, 8),
                nn.Linear(8, 3),
            )

        def forward(self, x):
            z = self.body(x)
            z = self.query.expand(len(x), -1)
            return self.head(z.relu())

    caught(RULE, lambda: fed(lambda batch: batch["x"], Model()))


def test_a_predict_that_ignores_its_batch(caught):
    def build():
        trainee = fed(lambda batch: batch["x"])
        model, x = trainee.model.eval(), trainee.batch["x"]
        trainee.predict = lambda batch: model.eval()(x).detach()  # here
        return trainee

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def without_labels(model, loss_of):
    return pairs.learner(model, {"x": torch.randn(6, 4)}, loss_of, target=None)


def test_an_input_erased_without_labels(caught):
    class Denoiser(nn.Linear):
        def forward(self, x):
            return super().forward(x * 0)

    def loss_of(model, batch):
        noise = torch.randn(6, 4)
        return F.mse_loss(model(batch["x"] + noise), noise)

    caught(RULE, lambda: without_labels(Denoiser(4, 4), loss_of))


class Autoencoder(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.encode, self.decode, self.code = nn.Linear(4, 2), nn.Linear(2, 4), code

    def forward(self, x):
        return self.decode(self.code(self.encode(x)))


def test_a_decoder_that_is_given_something_else(caught):
    caught(
        RULE,
        lambda: without_labels(
            Autoencoder(torch.zeros_like), lambda m, b: F.mse_loss(m(b["x"]), b["x"])
        ),
    )


def test_a_decoder_that_is_given_noise(caught):
    caught(
        RULE,
        lambda: without_labels(
            Autoencoder(torch.randn_like), lambda m, b: F.mse_loss(m(b["x"]), b["x"])
        ),
    )


def test_noise_in_the_place_of_what_it_was_added_to(caught):
    def loss_of(model, batch):
        noise = torch.randn(6, 4)
        _ = batch["x"] + noise
        return F.mse_loss(model(noise), noise)

    caught(RULE, lambda: without_labels(zoo.mlp(4, 4), loss_of))


def denoiser(loss_of):
    return without_labels(zoo.mlp(4, 4), lambda m, b: loss_of(m, b["x"], torch.randn(6, 4)))


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda m, x, noise: F.mse_loss(m(noise), x),
        lambda m, x, noise: (m(noise) - x).abs().mean(),
    ],
)
def test_noise_in_the_place_of_the_noisy_input(caught, loss_of):
    caught(RULE, lambda: denoiser(loss_of))


def ordered(samples):
    return samples.sort(0).values


def energy_distance(samples, x):
    return 2 * (samples - x).norm(dim=1).mean() - (samples - samples.roll(1, 0)).norm(dim=1).mean()


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda m, x, noise: F.mse_loss(m(x + noise), x),
        lambda m, x, noise: F.mse_loss(m(noise).mean(0), x.mean(0)),
        lambda m, x, noise: F.mse_loss(ordered(m(noise) @ noise[:4].T), ordered(x @ noise[:4].T)),
        lambda m, x, noise: F.mse_loss(m(noise[torch.cdist(x, noise).argmin(1)]), x),
        lambda m, x, noise: F.mse_loss(m(noise)[[1, 0, 3, 2, 5, 4]], x),
        lambda m, x, noise: F.mse_loss(m(noise).cumsum(0), x.cumsum(0)),
        lambda m, x, noise: energy_distance(m(noise), x),
    ],
    ids=[
        *("denoising", "moments", "sliced distance", "nearest noise"),
        *("matched", "cumulated", "energy distance"),
    ],
)
def test_noise_that_is_generated_from_or_taken_away(loss_of):
    assert not torchproof.prove(lambda: denoiser(loss_of), rules=[RULE]).findings


def test_samples_that_are_compared_as_a_crowd_may_be_of_noise_alone():
    def loss_of(model, batch):
        samples = model(batch["x"])
        gaps = (samples[:, None] - batch["x"]).square().sum(2)
        return -(-gaps).exp().mean()

    def build():
        return without_labels(Autoencoder(torch.randn_like), loss_of)

    assert not torchproof.prove(build, rules=[RULE]).findings


class Pair(nn.Module):
    def __init__(self, combine):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3)
        self.gate = nn.Parameter(torch.zeros(()))
        self.combine = combine

    def forward(self, left, right):
        return self.head(self.combine(self, left, right))


def pair(combine, right=None):
    batch = {"left": torch.randn(6, 4), "right": torch.randn(6, 4) if right is None else right}
    batch["y"] = torch.tensor([0, 1, 2, 1, 0, 2])
    return pairs.learner(
        Pair(combine), batch, lambda m, b: F.cross_entropy(m(b["left"], b["right"]), b["y"])
    )


def test_the_same_input_for_both_branches(caught):
    finding, _ = caught(
        RULE, lambda: pair(lambda m, left, _: m.first(left).relu() + m.second(left).relu())
    )
    assert finding.evidence["input"] == "right"


def twins(second, model=None):
    batch = {"left": torch.randn(6, 4), "right": torch.randn(6, 4), "y": torch.arange(6) % 2}

    def loss_of(model, batch):
        gap = (model(batch["left"]) - model(batch[second]) + 1e-6).square().sum(1)
        return (batch["y"] * gap + (1 - batch["y"]) * (1 - gap).relu()).mean()

    return pairs.learner(model or nn.Linear(4, 8), batch, loss_of)


def test_one_of_two_twins_given_twice(caught):
    finding, _ = caught(RULE, lambda: twins("left"))
    assert finding.evidence["input"] == "right"


def test_two_twins_are_right():
    assert not torchproof.prove(lambda: twins("right"), rules=[RULE]).findings


def test_two_views_by_dropout_are_right():
    def build():
        return twins("left", zoo.mlp(4, 8))

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_samples_for_a_class_need_the_shape_of_the_inputs_alone():
    def samples(model, batch):
        x = torch.zeros_like(batch["x"])
        for time in torch.linspace(1, 0, 3):
            x = x - 0.3 * model(x, time.expand(6, 1), batch["y"]).detach()
        return x

    def build():
        trainee = pairs.diffusion_for_a_class()
        trainee.predict = lambda batch: samples(trainee.model, batch)
        return trainee

    assert "compares no label" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_the_mask_embedded_in_place_of_the_words(caught):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 8), nn.Linear(8, 3)

        def forward(self, words, mask):
            z = self.embed(mask) * mask[..., None]
            return self.head(z.sum(1) / mask.sum(1, keepdim=True))

    def build():
        mask = (torch.arange(5) < torch.tensor([5, 3, 4, 2, 5, 1])[:, None]).long()
        batch = {"words": torch.randint(1, 9, (6, 5)) * mask, "mask": mask}
        batch["y"] = torch.tensor([0, 1, 2, 1, 0, 2])
        return pairs.learner(
            Reader(), batch, lambda m, b: F.cross_entropy(m(b["words"], b["mask"]), b["y"])
        )

    finding, _ = caught(RULE, build)
    assert finding.evidence["input"] == "words"


def test_an_argument_that_is_not_used_is_a_warning():
    def build():
        return pair(lambda m, left, _: m.first(left) + m.second(left), torch.randn(6, 9))

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def support_of_which_the_mean_counts():
    return pair(lambda m, left, right: m.first(left) - m.second(right).mean(0))


def branch_behind_a_gate_of_zero():
    return pair(lambda m, left, right: m.first(left) + m.gate * m.second(right))


def privileged_input_of_training():
    def combine(model, left, right):
        known = model.first(left)
        return known + F.dropout(model.second(right), 0.5) if model.training else known

    return pair(combine)


def mask_that_a_model_need_not_read():
    return pair(lambda m, left, _: m.first(left), (torch.randn(6, 4) > 0).float())


def edges_of_a_graph():
    """They come in two rows, from where and to where; the batch has as many rows as nodes."""

    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x, edges):
            z = self.inner(x).relu()
            return self.head(z.index_add(0, edges[1], z[edges[0]]))

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], batch["edges"]), batch["y"])

    batch = {**pairs.labelled(4), "edges": torch.randint(0, 6, (2, 9))}
    return pairs.learner(Graph(), batch, loss_of)


def series_that_is_its_own_label():
    """Beside it the batch holds lengths alone, which the loss reads and the model does not."""

    def loss_of(model, batch):
        given = F.pad(batch["series"][:, :-1], (1, 0))[..., None]
        known = torch.arange(8) < batch["lengths"][:, None]
        return ((model(given)[0].squeeze(-1) - batch["series"]) * known).pow(2).mean()

    batch = {"series": torch.randn(6, 8), "lengths": torch.tensor([8, 5, 6, 8, 7, 3])}
    return pairs.learner(nn.GRU(1, 1, batch_first=True), batch, loss_of, target="series")


def weights_that_are_no_numbers():
    """What happened to them is for another rule to say."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]), batch["y"]) * torch.nan

    return pairs.learner(zoo.mlp(), pairs.labelled(4), loss_of)


def sum_over_a_set():
    """The rows are the points of one set, whose order does not matter."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(4, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.inner(x).relu().amax(0, keepdim=True))

    return without_labels(Sum(), lambda m, b: F.mse_loss(m(b["x"]), b["x"].amax(0, keepdim=True)))


@pytest.mark.parametrize(
    "build",
    [
        support_of_which_the_mean_counts,
        branch_behind_a_gate_of_zero,
        privileged_input_of_training,
        mask_that_a_model_need_not_read,
        edges_of_a_graph,
        series_that_is_its_own_label,
        weights_that_are_no_numbers,
        sum_over_a_set,
        pairs.autoencoder_that_samples,
        pairs.two_views_and_no_labels,
        zoo.gan_with_two_optimizers,
        zoo.diffusion_step_with_noise,
        pairs.head_of_zeros,
        pairs.dead_units,
        pairs.generator_of_noise,
        pairs.diffusion_for_a_class,
        zoo.warm_up_from_zero,
        zoo.evaluation_that_restores_everything,
        zoo.mixture_of_experts,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


class Pooled(nn.Module):
    def __init__(self, *, inverted):
        super().__init__()
        self.embed, self.head, self.inverted = (
            nn.Embedding(9, 4, padding_idx=0),
            zoo.mlp(),
            inverted,
        )

    def forward(self, ids):
        kept = ((ids == 0) if self.inverted else (ids != 0))[..., None].float()
        return self.head((self.embed(ids) * kept).sum(1) / kept.sum(1).clamp(min=1))


def padded(*, inverted):
    ids = torch.randint(1, 9, (6, 7)) * (
        torch.arange(7) < torch.tensor([2, 3, 4, 5, 6, 7])[:, None]
    )
    batch = {"x": ids, "y": torch.arange(6) % 3}
    return fed_with(Pooled(inverted=inverted), batch)


def fed_with(model, batch):
    return pairs.learner(model, batch, lambda m, b: F.cross_entropy(m(b["x"]), b["y"]))


def test_a_mask_that_keeps_the_padding_alone(caught):
    caught(RULE, lambda: padded(inverted=True))


def test_a_mask_that_keeps_the_content():
    found = torchproof.prove(lambda: padded(inverted=False)).findings
    assert RULE not in [each.rule for each in found]
