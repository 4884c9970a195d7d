"""Bugs of the class `causality`."""

from functools import partial

import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "causality"


def test_no_mask_at_all(caught):
    def everything(length):
        return torch.ones(length, length).bool()

    finding, line = caught(RULE, lambda: tokens.language_model(tokens.Attention(everything)))
    assert finding.evidence["largest change"] > 1e-3
    assert "tokens.py" in finding.location
    assert line.strip()


def test_a_mask_that_is_off_by_one(caught):
    def one_ahead(length):
        return torch.ones(length, length).bool().tril(1)

    finding, _ = caught(RULE, lambda: tokens.language_model(tokens.Attention(one_ahead)))
    assert finding.evidence["changed from position"] == finding.evidence["output that changed"] + 1


def test_a_mean_over_the_whole_sequence(caught):
    class Context(nn.Module):
        def forward(self, x):
            return x - x.mean(1, keepdim=True)  # here

    _, line = caught(RULE, lambda: tokens.language_model(Context()))
    assert line.endswith("# here")


def test_a_chunk_that_sees_itself(caught):
    def allowed(length):
        chunk = torch.arange(length) // 3
        return chunk[:, None] >= chunk

    caught(RULE, lambda: tokens.language_model(tokens.Attention(allowed)))


def test_a_convolution_padded_on_both_sides(caught):
    class Convolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Conv1d(8, 8, 3, padding=1)

        def forward(self, x):
            return self.inner(x.transpose(1, 2)).transpose(1, 2)  # here

    _, line = caught(RULE, lambda: tokens.language_model(Convolution()))
    assert line.endswith("# here")


def test_two_directions_and_a_layer_that_finds_its_size_when_it_is_built(caught):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(tokens.WORDS, 8)
            self.gru = nn.GRU(8, 8, batch_first=True, bidirectional=True)
            self.head = nn.LazyLinear(tokens.WORDS)
            self(torch.zeros(1, 2, dtype=torch.long))

        def forward(self, x):
            return self.head(self.gru(self.embed(x))[0])

    def build():
        batch = {"x": tokens.sentences()}
        return tokens.trainee(
            Reader(), batch, lambda m, b: tokens.next_token_loss(m(b["x"]), b["x"]), target=None
        )

    caught(RULE, build)


def test_a_mask_that_is_too_weak(caught):
    class Weak(tokens.Attention):
        def forward(self, x):
            query, key, value = self.qkv(x).chunk(3, -1)
            bias = (~self.allowed(x.shape[1])).float() * -4
            return self.out((query @ key.transpose(1, 2) + bias).softmax(-1) @ value)

    caught(RULE, lambda: tokens.language_model(Weak()))


def test_a_declared_forecaster_of_numbers_that_sees_the_future(caught):
    class Forecaster(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 8, batch_first=True, bidirectional=True)
            self.head = nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    def build():
        batch = {"x": torch.randn(4, 6, 2), "y": torch.randn(4, 6, 1)}
        loss = nn.MSELoss()
        return tokens.trainee(
            Forecaster(), batch, lambda m, b: loss(m(b["x"]), b["y"]), causal=True
        )

    caught(RULE, build)


def forecaster(model, channels=8):
    """Channels before times, as a convolution has them; the target is the series one step later."""

    def build():
        series = torch.randn(4, channels, 13)
        batch = {"x": series[..., :-1].clone(), "y": series[..., 1:].clone()}
        loss = nn.MSELoss()
        return tokens.trainee(
            model(channels), batch, lambda m, b: loss(m(b["x"]), b["y"]), causal=True
        )

    return build


def convolutions(*padding):
    def model(channels):
        pad = nn.ConstantPad1d(padding, 0.0)
        return nn.Sequential(pad, nn.Conv1d(channels, 6, 3), nn.ReLU(), nn.Conv1d(6, channels, 1))

    return model


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = convolutions(2, 0)(channels)

    def forward(self, x):
        return x + self.inner(x)


class Normed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.last = nn.Conv1d(channels, 6, 1), nn.Conv1d(6, channels, 1)
        self.norm = nn.GroupNorm(2, 6)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu())


@pytest.mark.parametrize("model", [convolutions(1, 1), Normed])
@pytest.mark.parametrize("channels", [1, 8, 12])
def test_a_declared_forecaster_with_channels_before_times_that_sees_the_future(
    caught, model, channels
):
    caught(RULE, forecaster(model, channels))


@pytest.mark.parametrize("model", [convolutions(2, 0), Residual])
@pytest.mark.parametrize("channels", [8, 12])
def test_channels_are_not_taken_for_times(model, channels):
    assert not torchproof.prove(forecaster(model, channels), rules=[RULE]).findings


class Seer(nn.Module):
    """A recurrent model of one series or of several, in one direction or both."""

    def __init__(self, *, both, channels=2, outputs=None):
        super().__init__()
        self.gru = nn.GRU(channels, 6, batch_first=True, bidirectional=both)
        self.head = nn.Linear(12 if both else 6, outputs or channels)

    def forward(self, x):
        return self.head(self.gru(x)[0])


class Single(Seer):
    """Without an axis for the one series."""

    def __init__(self, *, both):
        super().__init__(both=both, channels=1)

    def forward(self, x):
        return super().forward(x[..., None])[..., 0]


class Gaussian(Seer):
    def __init__(self, *, both):
        super().__init__(both=both, outputs=4)

    def forward(self, x):
        return super().forward(x).chunk(2, -1)


def of_its_own(series, loss):
    """The step shifts the series."""
    return series, lambda m, b: loss(m(b[:, :-1]), b[:, 1:])


def of_its_first(series, loss):
    batch = {"x": series[:, :-1].clone(), "y": series[:, 1:, :1].clone()}
    return batch, lambda m, b: loss(m(b["x"]), b["y"])


def likelihood(output, target):
    mean, scale = output
    return F.gaussian_nll_loss(mean, target, scale.exp())


def by_hand(output, target):
    return ((output - target) ** 2).mean().sqrt()


SERIES = [
    (Seer, (4, 13, 2), of_its_own, nn.MSELoss()),
    (Seer, (4, 13, 2), of_its_own, nn.L1Loss()),
    (Seer, (4, 13, 2), of_its_own, by_hand),
    (Single, (4, 13), of_its_own, nn.HuberLoss()),
    (Gaussian, (4, 13, 2), of_its_own, likelihood),
    (partial(Seer, outputs=1), (4, 13, 2), of_its_first, nn.MSELoss()),
]


def prediction(model, shape, shifted, loss, *, both):
    def build():
        batch, loss_of = shifted(torch.randn(shape).cumsum(1), loss)
        return tokens.trainee(model(both=both), batch, loss_of, target=None)

    return build


@pytest.mark.parametrize("program", SERIES)
def test_a_series_of_numbers_whose_future_is_seen(caught, program):
    caught(RULE, prediction(*program, both=True))


@pytest.mark.parametrize("program", SERIES)
def test_a_series_of_numbers_whose_past_is_seen(program):
    proof = torchproof.prove(prediction(*program, both=False), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


def another_series(target):
    """A model that sees all places, and is right to."""

    def build():
        x = torch.randn(4, 12, 2).cumsum(1)
        batch = {"x": x, "y": target(x)}
        loss = nn.MSELoss()
        return tokens.trainee(Seer(both=True), batch, lambda m, b: loss(m(b["x"]), b["y"]))

    return build


@pytest.mark.parametrize(
    "target",
    [
        lambda x: x.clone(),
        lambda x: x.roll(-1, 1),
        lambda x: x.flip(1),
        lambda x: torch.cat([x[:, :1], x[:, :-1]], 1),
        torch.randn_like,
    ],
    ids=["itself", "rolled round in space", "backwards", "the one before", "unrelated"],
)
def test_a_series_that_is_not_asked_for_the_next_number_is_not_judged(target):
    proof = torchproof.prove(another_series(target), rules=[RULE])
    assert "next token" in proof.skipped[RULE]
    assert not proof.findings


class Scaled(Seer):
    """Divides by the mean size of the series, as DeepAR does, and multiplies by it again."""

    def forward(self, x):
        scale = x.abs().mean(1, keepdim=True).clamp_min(1e-6)
        return super().forward(x / scale) * scale


class Centred(Seer):
    """Subtracts the mean of the whole series, in which the future has a part."""

    def forward(self, x):
        return super().forward(x - x.mean(1, keepdim=True))


def test_a_series_in_a_unit_of_its_own_is_not_judged():
    build = prediction(Scaled, *SERIES[0][1:], both=False)
    assert "scale of its own" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_a_mean_of_the_whole_series(caught):
    caught(RULE, prediction(Centred, *SERIES[0][1:], both=False))


def test_a_scaled_series_whose_future_is_seen(caught):
    caught(RULE, prediction(Scaled, *SERIES[0][1:], both=True))


class Remembering(tokens.Recurrent):
    """Begins each call with the state that the one before ended in."""

    state = None

    def forward(self, x):
        hidden, self.state = self.lstm(x, self.state)
        self.state = tuple(each.detach() for each in self.state)
        return hidden


class AlwaysDropping(tokens.Attention):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.5)


class Captioner(nn.Module):
    """Writes an image over the placeholders in a text, as many as the image has parts."""

    def __init__(self, allowed):
        super().__init__()
        self.embed, self.head = nn.Embedding(tokens.WORDS, 8), nn.Linear(8, tokens.WORDS)
        self.attention = tokens.Attention(allowed)

    def forward(self, x, image):
        placeholders = x == 0
        if int(placeholders.sum()) != image.shape[:2].numel():
            raise ValueError("the parts of the images and their placeholders do not match")
        embedded = self.embed(x).masked_scatter(placeholders[..., None], image)
        return self.head(self.attention(embedded))


def captions(allowed):
    def build():
        words = 1 + tokens.sentences() % (tokens.WORDS - 1)
        x = torch.cat([torch.zeros(len(words), 3, dtype=torch.long), words], 1)
        batch = {"x": x, "image": torch.randn(len(x), 3, 8)}

        def loss(model, batch):
            labels = batch["x"].masked_fill(batch["x"] == 0, -100)
            scores = model(batch["x"], batch["image"])[:, :-1]
            return F.cross_entropy(scores.transpose(1, 2), labels[:, 1:])

        return tokens.trainee(Captioner(allowed), batch, loss, target=None)

    return build


def test_a_captioner_that_sees_later_words(caught):
    caught(RULE, captions(lambda length: torch.ones(length, length).bool().tril(1)))


def test_a_captioner_is_judged_though_its_placeholders_have_to_stay():
    proof = torchproof.prove(
        captions(lambda length: torch.ones(length, length).bool().tril()), rules=[RULE]
    )
    assert not proof.findings
    assert not proof.skipped


@pytest.mark.parametrize("mix", [Remembering, AlwaysDropping])
def test_what_differs_between_equal_calls_is_no_leak(mix):
    assert not torchproof.prove(lambda: tokens.language_model(mix()), rules=[RULE]).findings


def test_a_leak_is_found_whatever_predict_returns(caught):
    class Backwards(nn.Module):
        def forward(self, x):
            return x.flip(1).cumsum(1).flip(1)

    def last_token(batch):
        return batch["x"][:, -1:].float()

    caught(RULE, lambda: tokens.language_model(Backwards(), predict=last_token))


def test_declared_not_causal_is_skipped():
    proof = torchproof.prove(tokens.prefix_declared, rules=[RULE])
    assert "causal=False" in proof.skipped[RULE]


@pytest.mark.parametrize("build", [tokens.masked_language_model, tokens.tagging, zoo.plain_mlp])
def test_a_model_of_another_kind_is_not_judged(build):
    assert torchproof.prove(build, rules=[RULE]).skipped


@pytest.mark.parametrize(
    "build",
    [
        tokens.language_model,
        tokens.shifted_in_the_batch,
        tokens.shifted_inside_the_model,
        tokens.tokens_only,
        tokens.recurrent_language_model,
        tokens.prefix_that_sees_itself,
    ],
)
def test_language_models_are_recognised(build):
    assert not torchproof.prove(build, rules=[RULE]).skipped


@pytest.mark.parametrize("build", [*tokens.RIGHT, *zoo.HEALTHY], ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
