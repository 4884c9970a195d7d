"""Bugs of the class `cache-parity`: generating says something else than training learnt."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "cache-parity"


class Decoder(nn.Module):
    """One layer of attention whose cached way can be broken."""

    def __init__(self, bug=""):
        super().__init__()
        self.bug = bug
        self.embed, self.place = nn.Embedding(11, 8), nn.Embedding(16, 8)
        self.project, self.head = nn.Linear(8, 24), nn.Linear(8, 11)

    def forward(self, ids, cache=None):  # here
        past = cache[0].shape[1] if cache else 0
        start = 0 if self.bug == "positions" else past
        x = self.embed(ids) + self.place(torch.arange(start, start + ids.shape[1]))
        query, key, value = self.project(x).chunk(3, -1)
        if cache:
            key = torch.cat([cache[0], key], 1)
            value = torch.cat([cache[1], value], 1)
        seen = torch.ones(ids.shape[1], key.shape[1], dtype=torch.bool)
        seen = seen if self.bug == "future" else seen.tril(past)
        if self.bug == "newest only" and cache:
            seen[:, :past] = False
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.head(x + mixed), (key, value)


class Named(Decoder):
    """Returns a dict and takes the names of transformers."""

    def forward(self, input_ids, past_key_values=None, labels=None, use_cache=None):
        logits, cache = super().forward(input_ids, past_key_values)
        return {"logits": logits, **({"past_key_values": cache} if use_cache else {})}


class Masked(Decoder):
    """Takes a mask, which the step does not give, and whatever else."""

    def forward(self, input_ids, attention_mask=None, past_key_values=None, **_):
        assert attention_mask is None
        return super().forward(input_ids, past_key_values)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
        self.rnn = nn.GRU(8, 8, batch_first=True)

    def forward(self, ids, cache=None):
        states, last = self.rnn(self.embed(ids), cache)
        return self.head(states), last


def trained(model_of, **options):
    def build():
        model = model_of()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            output = model(batch["ids"])
            logits = output["logits"] if isinstance(output, dict) else output[0]
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["ids"][:, 1:].flatten())
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, {"ids": torch.randint(11, (4, 9))}, step, target=None, **options)

    return build


@pytest.mark.parametrize("bug", ["positions", "newest only"])
def test_the_cached_way_differs(caught, bug):
    finding, line = caught(RULE, trained(lambda: Decoder(bug)))
    assert line.endswith("# here")
    assert finding.evidence["positions compared"] == 5
    assert finding.evidence["largest difference"] > 1e-3


def test_a_mask_that_can_be_left_out(caught):
    caught(RULE, trained(lambda: Masked("positions")))


def test_a_cache_that_is_asked_for_by_a_switch(caught):
    caught(RULE, trained(lambda: Named("positions")))


@pytest.mark.parametrize("model_of", [Decoder, Named, Masked, Recurrent])
def test_right_models_are_silent(model_of):
    proof = torchproof.prove(trained(model_of), rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


class Placed(Decoder):
    def forward(self, ids, positions=None, cache=None):
        return super().forward(ids, cache)


class Forgetful(Decoder):
    def forward(self, ids, cache=None):
        return super().forward(ids, cache)[0], None


class Plain(Decoder):
    def forward(self, ids):
        return super().forward(ids)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (trained(Plain), "forward takes no cache"),
        (trained(Placed), "forward takes positions too"),
        (trained(Forgetful), "returns no cache"),
        (trained(lambda: Decoder("future")), "the first half of the sequence alone"),
        (trained(Decoder, causal=False), "Trainee(causal=False)"),
        (zoo.plain_mlp, "no model is trained to give the next token"),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


class Steps(nn.Module):
    """A decoder without a parameter for its cache, which ``predict`` keeps."""

    def __init__(self, start=None):
        super().__init__()
        self.embed, self.place = nn.Embedding(11, 8), nn.Embedding(16, 8)
        self.project, self.head = nn.Linear(8, 24), nn.Linear(8, 11)
        self.start = start or (lambda past: past)

    def forward(self, ids):
        return self.attend(ids, 0, [])

    def attend(self, ids, start, kept):
        x = self.embed(ids) + self.place(torch.arange(start, start + ids.shape[1]))
        query, key, value = self.project(x).chunk(3, -1)
        kept.append((key, value))
        key, value = (torch.cat(each, 1) for each in zip(*kept))
        seen = torch.ones(ids.shape[1], key.shape[1], dtype=torch.bool)
        seen = seen.tril(key.shape[1] - ids.shape[1])
        return self.head(x + F.scaled_dot_product_attention(query, key, value, attn_mask=seen))

    def next(self, ids, kept):
        return self.attend(ids, self.start(len(kept)), kept)


def token_by_token(model, ids):
    kept = []
    return torch.cat([model.next(each[:, None], kept) for each in ids.unbind(1)], 1)


def generated(predict, start=None):
    def build():
        model = Steps(start)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]).transpose(1, 2), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        def answer(batch):  # here
            with torch.no_grad():
                return predict(model, batch["x"])

        ids = torch.randint(11, (4, 9))
        return Trainee(model, {"x": ids[:, :-1], "y": ids[:, 1:]}, step, predict=answer)

    return build


def test_a_prediction_token_by_token_that_loses_its_place(caught):
    finding, line = caught(RULE, generated(token_by_token, lambda past: 0))
    assert line.endswith("# here")
    assert finding.evidence["first position that differs"] == 1


def probabilities(model, ids):
    return token_by_token(model, ids).softmax(-1)


def of_one_token(model, ids):
    return torch.cat([model.next(each[:, None], []) for each in ids.unbind(1)], 1)


def test_a_prediction_token_by_token_that_keeps_nothing(caught):
    caught(RULE, generated(of_one_token))


def test_likelihoods_token_by_token_of_a_model_that_loses_its_place(caught):
    caught(RULE, generated(probabilities, lambda past: 0))


def of_the_last_three_tokens(model, ids):
    windows = [ids[:, max(0, at - 2) : at + 1] for at in range(ids.shape[1])]
    return torch.cat([model(each)[:, -1:] for each in windows], 1)


def in_pieces(model, ids):
    return torch.cat([model(each) for each in ids.split(4, 1)], 1)


def going_on_with_its_own_tokens(model, ids):
    kept, token, logits = [], ids[:, :1], []
    for _ in range(ids.shape[1]):
        logits.append(model.next(token, kept))
        token = logits[-1].argmax(-1)
    return torch.cat(logits, 1)


def smoothed(model, ids):
    return model(ids).cumsum(1) / torch.arange(1, ids.shape[1] + 1)[:, None]


@pytest.mark.parametrize(
    "predict",
    [
        token_by_token,
        of_the_last_three_tokens,
        in_pieces,
        going_on_with_its_own_tokens,
        smoothed,
        probabilities,
    ],
)
def test_predictions_that_say_something_else_on_purpose_are_silent(predict):
    assert not torchproof.prove(generated(predict), rules=[RULE]).findings
