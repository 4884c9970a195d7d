"""Bugs of the class `input-parity`."""

import pairs
import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "input-parity"


def prepared(in_step, in_predict):
    model = zoo.mlp()

    def predict(batch):  # here
        model.eval()
        with torch.no_grad():
            return model(in_predict(batch["x"]))

    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(in_step(b["x"])), b["y"]),
        predict=predict,
    )


def as_it_is(x):
    return x


def test_normalised_only_in_the_step(caught):
    finding, line = caught(RULE, lambda: prepared(lambda x: (x - 0.5) / 0.25, as_it_is))
    assert line.endswith("# here")
    assert finding.evidence["largest difference"] > 1


def test_normalised_only_when_predicting(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x / 255))


def test_channels_in_another_order(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x.flip(1)))


def test_statistics_of_the_batch_only_in_the_step(caught):
    caught(RULE, lambda: prepared(lambda x: (x - x.mean(0)) / x.std(0), as_it_is))


def test_clipped_only_when_predicting(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x.clamp(-0.1, 0.1)))


def read(in_step, in_predict, labels=None):
    """A reader of tokens; ``labels`` are the rows' classes unless others are given."""
    model, ids = torch.nn.EmbeddingBag(9, 3), torch.randint(0, 8, (6, 4))
    labels = torch.tensor([0, 1, 2, 1, 0, 2]) if labels is None else labels(ids)

    def predict(batch):
        with torch.no_grad():
            return model(in_predict(batch["x"]))

    return pairs.learner(
        model,
        {"x": ids, "y": labels},
        lambda m, b: F.cross_entropy(m(in_step(b["x"])), b["y"].view(6, -1)[:, 0].clamp(max=2)),
        predict=predict,
    )


def test_other_tokens(caught):
    finding, _ = caught(RULE, lambda: read(lambda ids: ids + 1, as_it_is))
    assert finding.evidence["largest difference"] == 1


def by_hand(prepare, accumulate=2, first=None):
    """Layers that the step calls one by one, with an update in every second call."""
    first, last = first or torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)
    optimizer = torch.optim.SGD([*first.parameters(), *last.parameters()], 0.5)
    calls = []

    def step(batch):
        loss = F.cross_entropy(last(first(batch["x"]).relu()), batch["y"])
        loss.backward()
        calls.append(loss)
        if len(calls) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss

    def predict(batch):
        first.eval()
        with torch.no_grad():
            return last(first(prepare(batch["x"])).relu())

    model = torch.nn.ModuleDict({"first": first, "last": last})
    return torchproof.Trainee(model, pairs.labelled(4), step, predict=predict)


def test_scaled_before_layers_that_are_called_one_by_one(caught):
    caught(RULE, lambda: by_hand(lambda x: x * 10))
    caught(RULE, lambda: by_hand(lambda x: x * 10, accumulate=1))


def layers_that_have_learned_in_between():
    return by_hand(as_it_is)


def frozen_features_by_another_mode():
    class Frozen(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8)

        @torch.no_grad()
        def forward(self, x):
            return self.norm(self.linear(x))

    return by_hand(as_it_is, first=Frozen())


def adapted_to_another_domain():
    """Of the target's rows only the domain is learned; they are what is predicted."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.label = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)
            self.domain = torch.nn.Linear(8, 1)

        def forward(self, x):
            hidden = self.body(x).relu()
            return self.label(hidden), self.domain(hidden)

    model = Net()

    def loss_of(model, batch):
        logits, ours = model(batch["x"])
        _, theirs = model(batch["target"])
        return F.cross_entropy(logits, batch["y"]) + (ours - theirs).mean()

    return pairs.learner(
        model,
        {**pairs.labelled(4), "target": torch.randn(6, 4) + 1},
        loss_of,
        target="y",
        predict=lambda batch: model(batch["target"])[0].detach(),
    )


def the_same_tokens():
    return read(lambda ids: ids + 1, lambda ids: ids + 1)


def words_dropped_in_training():
    return read(lambda ids: ids.masked_fill(torch.rand(ids.shape) < 0.3, 8), as_it_is)


def every_second_word_is_guessed():
    return read(lambda ids: ids.index_fill(1, torch.tensor([0, 2]), 8), as_it_is, torch.clone)


def words_that_predict_has_written():
    return read(as_it_is, lambda ids: ids.roll(1, 1))


def the_same_preparation():
    return prepared(lambda x: x / 2, lambda x: x / 2)


def noise_in_training():
    return prepared(lambda x: x + 0.1 * torch.randn_like(x), as_it_is)


def rows_turned_round():
    model = zoo.mlp()
    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(b["x"].flip(0)), b["y"].flip(0)),
        predict=lambda batch: model.eval()(batch["x"]).detach(),
    )


def mixup():
    trainee = pairs.mixup_with_the_reversed_batch()
    model = trainee.model
    trainee.predict = lambda batch: model.eval()(batch["x"]).detach()
    return trainee


def attacked():
    """Learns on inputs pushed up the gradient, which takes a pass over the plain ones."""
    model = zoo.mlp()

    def loss_of(model, batch):
        x = batch["x"].clone().requires_grad_()
        loss = F.cross_entropy(model(x), batch["y"])
        (slope,) = torch.autograd.grad(loss, x, retain_graph=True)
        return loss + F.cross_entropy(model(batch["x"] + 0.1 * slope.sign()), batch["y"])

    return pairs.learner(
        model,
        pairs.labelled(4),
        loss_of,
        predict=lambda batch: model.eval()(batch["x"]).detach(),
    )


def averaged_over_two_views():
    model = zoo.mlp()

    def predict(batch):
        with torch.no_grad():
            return (model.eval()(batch["x"].flip(1)) + model(batch["x"])) / 2

    return pairs.learner(
        model, pairs.labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), predict=predict
    )


@pytest.mark.parametrize(
    "build",
    [
        layers_that_have_learned_in_between,
        frozen_features_by_another_mode,
        adapted_to_another_domain,
        the_same_tokens,
        words_dropped_in_training,
        every_second_word_is_guessed,
        words_that_predict_has_written,
        the_same_preparation,
        noise_in_training,
        rows_turned_round,
        mixup,
        attacked,
        averaged_over_two_views,
        tokens.translation_with_teacher_forcing,
        pairs.monte_carlo_dropout,
        pairs.generator_of_noise,
        zoo.gan_with_two_optimizers,
        zoo.evaluation_that_restores_everything,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
