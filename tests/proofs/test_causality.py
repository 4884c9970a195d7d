"""Bugs of the class `causality`."""

import pytest
import tokens
import torch
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
