"""Language models and other programs on sequences: right ones, and parts to make wrong ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch import nn

from torchproof import Trainee


ROWS, LENGTH, WORDS = 4, 7, 11


def see_the_past(length):
    return torch.ones(length, length, dtype=torch.bool).tril()


class Attention(nn.Module):
    """One head; ``allowed`` says which positions a position may see."""

    def __init__(self, allowed=see_the_past):
        super().__init__()
        self.qkv, self.out, self.allowed = nn.Linear(8, 24), nn.Linear(8, 8), allowed

    def forward(self, x):
        query, key, value = self.qkv(x).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / 8**0.5
        scores = scores.masked_fill(~self.allowed(x.shape[1]), -torch.inf)
        return self.out(scores.softmax(-1) @ value)


class LanguageModel(nn.Module):
    def __init__(self, mix=None):
        super().__init__()
        self.embed, self.position = nn.Embedding(WORDS, 8), nn.Parameter(torch.randn(LENGTH, 8))
        self.mix, self.head = mix or Attention(), nn.Linear(8, WORDS)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position[: tokens.shape[1]]
        return self.head(x + self.mix(x))


def sentences(length=LENGTH):
    return torch.randint(0, WORDS, (ROWS, length))


def next_token_loss(logits, tokens):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def trainee(model, batch, loss_of, **options):
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, batch, step, **options)


def language_model(mix=None, **options):
    """Labels are the inputs; the step shifts them."""
    tokens = sentences()
    batch = {"x": tokens, "y": tokens}
    return trainee(
        LanguageModel(mix), batch, lambda m, b: next_token_loss(m(b["x"]), b["y"]), **options
    )


def shifted_in_the_batch():
    tokens = sentences(LENGTH + 1)

    def loss_of(model, batch):
        x, y = batch
        return F.cross_entropy(model(x).transpose(1, 2), y, label_smoothing=0.1)

    return trainee(LanguageModel(), (tokens[:, :-1], tokens[:, 1:]), loss_of)


def shifted_inside_the_model():
    class Model(LanguageModel):
        def forward(self, tokens, labels=None):
            logits = super().forward(tokens)
            loss = None if labels is None else next_token_loss(logits, labels)
            return {"loss": loss, "logits": logits} if loss is not None else {"logits": logits}

    tokens = sentences()
    batch = {"tokens": tokens, "labels": tokens.clone()}
    return trainee(Model(), batch, lambda m, b: m(**b)["loss"], target="labels")


def tokens_only():
    def loss_of(model, batch):
        return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())

    return trainee(LanguageModel(), sentences(), loss_of, target=None)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 8, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


def recurrent_language_model():
    return language_model(Recurrent())


def prefix_that_sees_itself():
    """Positions before the third see each other; the loss reads none of them."""

    def allowed(length):
        seen = see_the_past(length)
        seen[:3, :3] = True
        return seen

    tokens = sentences()
    labels = tokens.clone()
    labels[:, :3] = -100
    batch = {"x": tokens, "y": labels}
    model = LanguageModel(Attention(allowed))
    return trainee(model, batch, lambda m, b: next_token_loss(m(b["x"]), b["y"]))


def prefix_declared():
    def allowed(length):
        seen = see_the_past(length)
        seen[:3, :3] = True
        return seen

    return language_model(Attention(allowed), causal=False)


def masked_language_model():
    tokens = sentences()
    hidden = torch.rand(tokens.shape) < 0.4
    hidden[:, 1], hidden[:, 0] = True, False
    batch = {
        "x": tokens.masked_fill(hidden, WORDS - 1),
        "y": tokens.masked_fill(~hidden, -100),
    }
    model = LanguageModel(Attention(lambda length: torch.ones(length, length).bool()))
    return trainee(
        model, batch, lambda m, b: F.cross_entropy(m(b["x"]).flatten(0, 1), b["y"].flatten())
    )


def autoencoder_of_tokens():
    tokens = sentences()
    model = LanguageModel(Attention(lambda length: torch.ones(length, length).bool()))
    return trainee(
        model,
        {"x": tokens, "y": tokens},
        lambda m, b: F.cross_entropy(m(b["x"]).transpose(1, 2), b["y"]),
    )


class Translator(nn.Module):
    """An encoder that sees everything and a decoder that sees its past."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 8), nn.Embedding(WORDS, 8)
        self.decoder = nn.LSTM(8, 8, batch_first=True)
        self.mix, self.head = nn.Linear(16, 8), nn.Linear(8, WORDS)

    def forward(self, source, target):
        meaning = self.source(source).mean(1, keepdim=True)
        words = self.decoder(self.target(target))[0]
        both = torch.cat([words, meaning.expand_as(words)], -1)
        return self.head(self.mix(both).tanh())


def translation_with_teacher_forcing(predict=True):  # noqa: FBT002 - a variant, not a switch
    """The decoder gets the labels one position late; so does predict."""

    def logits_of(model, batch):
        return model(batch["source"], batch["y"][:, :-1])

    def loss_of(model, batch):
        return F.cross_entropy(logits_of(model, batch).transpose(1, 2), batch["y"][:, 1:])

    model = Translator()
    batch = {"source": sentences(), "y": sentences(LENGTH + 1)}
    options = {"predict": lambda batch: logits_of(model, batch).detach()} if predict else {}
    return trainee(model, batch, loss_of, **options)


def translation_that_shifts_its_labels_inside():
    """The model is called with the labels (as T5 and BART are) and hides each from its position."""

    class Shifting(Translator):
        def forward(self, source, labels):
            late = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], 1)
            return super().forward(source, late)

    def loss_of(model, batch):
        logits = model(batch["source"], batch["y"])
        return F.cross_entropy(logits.transpose(1, 2), batch["y"])

    return trainee(Shifting(), {"source": sentences(LENGTH + 2), "y": sentences()}, loss_of)


def copying_translation():
    """Labels are the source, and the source is read as a whole."""

    def loss_of(model, batch):
        start = torch.zeros(ROWS, 1, dtype=torch.long)
        logits = model(batch["x"], torch.cat([start, batch["y"][:, :-1]], 1))
        return F.cross_entropy(logits.transpose(1, 2), batch["y"])

    tokens = sentences()
    return trainee(Translator(), {"x": tokens, "y": tokens}, loss_of)


def tagging():
    """Every position gets a tag of its own."""
    batch = {"x": sentences(), "y": torch.randint(0, WORDS, (ROWS, LENGTH))}
    model = LanguageModel(Attention(lambda length: torch.ones(length, length).bool()))
    return trainee(model, batch, lambda m, b: F.cross_entropy(m(b["x"]).transpose(1, 2), b["y"]))


def two_books_of_codes():
    """One output axis holds the classes of two codebooks; a reshape takes them apart."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, 2 * 3)

        def forward(self, tokens):
            return self.head(self.embed(tokens))

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).reshape(-1, 3), batch["y"].flatten())

    batch = {"x": sentences(6), "y": torch.randint(0, 3, (ROWS, 6, 2))}
    return trainee(Model(), batch, loss_of)


RIGHT = [
    language_model,
    shifted_in_the_batch,
    shifted_inside_the_model,
    tokens_only,
    recurrent_language_model,
    prefix_that_sees_itself,
    prefix_declared,
    masked_language_model,
    autoencoder_of_tokens,
    translation_with_teacher_forcing,
    translation_that_shifts_its_labels_inside,
    copying_translation,
    tagging,
    two_books_of_codes,
]
