"""Bugs of the class `rounded-angles`; the marked line is the one that rounds."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

import torchproof


RULE = "rounded-angles"
BF16 = torch.bfloat16
LENGTH, WAVES = 48, 16


def frequencies(base=10000.0, waves=WAVES):
    return base ** (-torch.arange(waves) / waves)


def positions(length=LENGTH):
    return torch.arange(length)[:, None]


class Positional(nn.Module):
    """Token embeddings beside the sine and cosine of ``angles(self, batch)``."""

    def __init__(self, angles, waves=WAVES):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8 + 2 * waves, 11)
        self.angles = angles
        self.register_buffer("slowness", frequencies(), persistent=False)

    def forward(self, batch):
        words, angles = self.embed(batch["ids"]), self.angles(self, batch)
        waves = self.waves(angles).to(words.dtype)
        return self.head(torch.cat([words, waves.expand(*words.shape[:2], -1)], -1))

    def waves(self, angles):
        return torch.cat([angles.cos(), angles.sin()], -1)


class Turned(Positional):
    """Rotary embeddings as complex numbers."""

    def waves(self, angles):
        angles = angles.float()
        turned = torch.polar(torch.ones_like(angles), angles)
        return torch.view_as_real(turned).flatten(-2)


class Exponential(Positional):
    def waves(self, angles):
        return torch.view_as_real(torch.exp(1j * angles.float())).flatten(-2)


class InPlace(Positional):
    def waves(self, angles):
        return torch.cat([angles.clone().cos_(), angles.sin_()], -1)


def trainee(model, *, autocast=False, batch=None, call=None, predict=None):
    """Labels are random: what is learned does not matter."""
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], 0.1)
    ids = torch.randint(0, 11, (2, LENGTH))

    def step(batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=BF16, enabled=autocast):
            logits = (call or model)(batch)
            loss = F.cross_entropy(logits.float().transpose(1, 2), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    batch = {"ids": ids, "y": ids.clone(), **(batch or {})}
    return torchproof.Trainee(model, batch, step, predict=predict)


def from_buffer(model, _):
    return positions() * model.slowness


def in_float32(*_):
    return positions() * frequencies()


@pytest.mark.parametrize("kind", [Positional, Turned, Exponential, InPlace])
@pytest.mark.parametrize("dtype", [BF16, torch.float16])
def test_frequencies_cast_with_the_model(caught, kind, dtype):
    def build():
        model = kind(from_buffer)
        model.to(dtype)  # here
        return trainee(model)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["type"] == str(dtype).removeprefix("torch.")
    assert finding.evidence["off by"] > 4 * torch.finfo(dtype).eps / 2
    assert "in place of" in finding.message


def test_angles_multiplied_under_autocast(caught):
    def product(model, _):
        return positions().float() @ model.slowness[None]  # here

    _, line = caught(RULE, lambda: trainee(Positional(product), autocast=True))
    assert line.endswith("# here")


def test_positions_counted_in_half_precision(caught):
    def counted(*_):
        count = torch.arange(600, dtype=BF16)[-LENGTH:, None]  # here
        return count * frequencies()

    finding, line = caught(RULE, lambda: trainee(Positional(counted)))
    assert line.endswith("# here")
    assert finding.evidence["off by"] > 0.5


def test_diffusion_times_cast_before_their_embedding(caught):
    def times(_, batch):
        return batch["time"].to(BF16)[:, None, None] * 1.0 * frequencies()  # here

    def build():
        return trainee(Positional(times), batch={"time": torch.tensor([301, 999])})

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def frozen_parameter(model):
    model.slowness = nn.Parameter(frequencies(), requires_grad=False)


def written_constants(model):
    model.slowness = torch.tensor([10000 ** (-wave / WAVES) for wave in range(WAVES)])


def copied_into_a_buffer(model):
    model.slowness = torch.empty(WAVES)
    model.slowness.copy_(frequencies())


@pytest.mark.parametrize("change", [frozen_parameter, written_constants, copied_into_a_buffer])
def test_frequencies_made_in_another_way(caught, change):
    def build():
        model = Positional(from_buffer)
        del model.slowness
        change(model)
        if "slowness" not in model._parameters:
            values = model.__dict__.pop("slowness")
            model.register_buffer("slowness", values)
        model.to(BF16)  # here
        return trainee(model)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def checkpointed(model):
    return trainee(model, call=lambda batch: checkpoint(model, batch, use_reentrant=False))


def predicted_in_inference_mode(model):
    half = Positional(lambda model, _: torch.einsum("i,j->ij", positions()[:, 0], model.slowness))

    def predict(batch):
        with torch.inference_mode():
            return half.to(BF16)(batch)

    return trainee(Positional(in_float32), predict=predict)


@pytest.mark.parametrize("run", [checkpointed, predicted_in_inference_mode])
def test_wherever_the_model_runs(caught, run):
    caught(RULE, lambda: run(Positional(from_buffer).to(BF16)))


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="it cannot be switched off")
def test_a_compiled_model_is_seen_as_it_is_written(caught):
    caught(RULE, lambda: trainee(torch.compile(Positional(from_buffer).to(BF16), backend="eager")))


def silent(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


@pytest.mark.parametrize("dtype", [torch.float32, BF16, torch.float16])
def test_angles_in_float32_are_right_whatever_the_weights_are_in(dtype):
    silent(lambda: trainee(Positional(in_float32).to(dtype)))


def test_angles_outside_autocast_are_right():
    def product(model, _):
        with torch.autocast("cpu", enabled=False):
            return positions().float() @ model.slowness[None]

    silent(lambda: trainee(Positional(product), autocast=True))


def test_a_table_of_sines_may_be_cast():
    class Table(Positional):
        def __init__(self):
            super().__init__(in_float32)
            self.register_buffer("table", super().waves(positions() * frequencies()))

        def waves(self, _):
            return self.table

    silent(lambda: trainee(Table().to(BF16)))


def test_angles_that_are_learned_or_drawn_or_given_are_not_judged():
    def learned(model, _):
        return positions() * model.slowness.detach()

    def drawn(*_):
        return positions() * torch.randn(WAVES).to(BF16)

    def given(_, batch):
        return batch["place"].to(BF16)[..., None] * 2 ** torch.arange(WAVES)

    def build(angles, *, learning=False):
        model = Positional(angles)
        if learning:
            del model.slowness
            model.slowness = nn.Parameter(frequencies())
        place = torch.linspace(0, 9, LENGTH).repeat(2, 1)
        return trainee(model.to(BF16), batch={"place": place})

    silent(lambda: build(learned, learning=True))
    silent(lambda: build(drawn))
    silent(lambda: build(given))


def test_numbers_written_over_are_forgotten():
    def rewritten(*_):
        waves = frequencies().to(BF16)
        waves[1:] = torch.rand(WAVES - 1)
        return positions() * waves

    silent(lambda: trainee(Positional(rewritten)))


def test_angles_that_half_precision_holds_are_right():
    """2 ** -k and positions up to 256 have no digits to lose."""

    def halves(*_):
        return positions().to(BF16) * 2.0 ** -torch.arange(WAVES, dtype=BF16)

    silent(lambda: trainee(Positional(halves)))


def test_angles_too_large_for_float32_are_not_held_against_half_precision():
    def far(*_):
        return (positions() * 1e6).to(BF16) * frequencies()[:1].expand(WAVES)

    silent(lambda: trainee(Positional(far)))


@settings(max_examples=25, deadline=None)
@given(
    base=st.floats(2.0, 1e6),
    waves=st.integers(1, 24),
    start=st.integers(0, 20000),
    half=st.sampled_from([BF16, torch.float16]),
)
def test_one_rounding_after_the_sine_or_within_a_turn_is_right(base, waves, start, half):
    def angles(*_):
        return (positions() + start) * frequencies(base, waves)

    def within_a_turn(*_):
        return angles().remainder(2 * torch.pi).to(half)

    for each in (angles, within_a_turn):
        silent(lambda each=each: trainee(Positional(each, waves).to(half)))
