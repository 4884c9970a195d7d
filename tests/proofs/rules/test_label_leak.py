"""Bugs of the class `label-leak`."""

import pairs
import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "label-leak"


def fed(features, **options):
    def loss_of(model, batch):
        return F.cross_entropy(model(features(batch)), batch["y"])

    return pairs.learner(nn.Linear(5, 3), pairs.labelled(4), loss_of, **options)


def both(batch):
    return torch.cat([batch["x"], batch["y"][:, None].float()], 1)


def test_the_label_among_the_features(caught):
    finding, _ = caught(RULE, lambda: fed(both))
    assert finding.evidence["largest change"] > 1e-3


def test_a_target_encoding_with_its_own_row(caught):
    def encoded(batch):
        means = torch.stack([batch["x"][batch["y"] == c].mean() for c in range(3)])
        return torch.cat([batch["x"], means[batch["y"]][:, None]], 1)

    caught(RULE, lambda: fed(encoded))


class Choice(nn.Module):
    """Scores candidates for each row."""

    def __init__(self):
        super().__init__()
        self.rows, self.words = nn.Linear(4, 8), nn.Embedding(9, 8)

    def forward(self, x, candidates):
        return self.rows(x) @ self.words(candidates).T


@pytest.mark.parametrize("others", [0, 5])
def test_labels_among_candidates_are_no_leak(others):
    def loss_of(model, batch):
        candidates = torch.cat([batch["y"], torch.arange(others)])
        return F.cross_entropy(model(batch["x"], candidates), torch.arange(6))

    def build():
        batch = {"x": torch.randn(6, 4), "y": torch.randperm(9)[:6]}
        return pairs.learner(Choice(), batch, loss_of)

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_predict_that_reads_the_labels(caught):
    def build():
        trainee = fed(both)
        model = trainee.model
        trainee.predict = lambda batch: model(both(batch)).detach()  # here
        return trainee

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "(y)" in finding.message


def test_a_decoder_that_sees_the_whole_answer(caught):
    def build():
        trainee = tokens.translation_with_teacher_forcing()
        model = trainee.model
        model.decoder = Whole()
        trainee.predict = lambda batch: model(batch["source"], batch["y"][:, 1:]).detach()
        return trainee

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x):
            return self.inner(x + x.mean(1, keepdim=True)), None

    caught(RULE, build)


def teacher_forced(given, *, predict):
    """A decoder made of several models, which the step calls one by one."""
    embed, head = nn.Embedding(tokens.WORDS, 8), nn.Linear(8, tokens.WORDS)
    encoder, decoder = nn.GRU(8, 8, batch_first=True), nn.GRU(8, 8, batch_first=True)
    model = nn.ModuleList([embed, encoder, decoder, head])

    def logits(batch):
        return head(decoder(embed(given(batch["y"])), encoder(embed(batch["x"]))[1])[0])

    def loss_of(_, batch):
        return F.cross_entropy(logits(batch).transpose(1, 2), batch["y"])

    batch = {"x": tokens.sentences(5), "y": tokens.sentences()}
    options = {"predict": lambda batch: logits(batch).detach()} if predict else {}
    return pairs.learner(model, batch, loss_of, **options)


def late(labels):
    return F.pad(labels[:, :-1], (1, 0))


def right_decoder():
    return teacher_forced(late, predict=True)


def decoder_whose_prediction_tells_the_fit_of_each_word():
    trainee = teacher_forced(late, predict=True)
    logits = trainee.predict

    def predict(batch):
        return F.cross_entropy(logits(batch).transpose(1, 2), batch["y"], reduction="none")

    trainee.predict = predict
    return trainee


def test_a_decoder_that_is_given_what_it_predicts(caught):
    finding, _ = caught(RULE, lambda: teacher_forced(lambda labels: labels, predict=True))
    assert finding.evidence["position"] == tokens.LENGTH - 1


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.reader, self.writer = (nn.GRU(n, 8, batch_first=True) for n in (2, 1))
        self.head = nn.Linear(8, 1)

    def forward(self, past, given):
        return self.head(self.writer(given, self.reader(past)[1])[0])


def forecast(given):
    """A decoder of numbers: each step ahead has a label of its own."""
    model = Forecaster()

    def ahead(batch):
        return model(batch["past"], given(batch))

    return pairs.learner(
        model,
        {"past": torch.randn(6, 9, 2), "y": torch.randn(6, 5, 1)},
        lambda _, batch: F.mse_loss(ahead(batch), batch["y"]),
        predict=lambda batch: ahead(batch).detach(),
    )


def values_before(batch):
    return torch.cat([batch["past"][:, -1:, :1], batch["y"][:, :-1]], 1)


def test_a_decoder_of_numbers_that_is_given_what_it_predicts(caught):
    finding, _ = caught(RULE, lambda: forecast(lambda batch: batch["y"]))
    assert finding.evidence["position"] == 4


def decoder_of_numbers():
    return forecast(values_before)


def hidden_in_the_batch(*features):
    """The series is its own label; the batch says what of it is hidden."""
    seen = (torch.rand(6, 9, *features) > 0.4).float()
    size = 9 * (features[0] if features else 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, size), nn.Unflatten(1, (9, *features)))

    def fill(batch):
        return model(batch["series"] * batch["seen"])

    def loss_of(_, batch):
        return ((fill(batch) - batch["series"]) * (1 - batch["seen"])).pow(2).sum()

    batch = {"series": torch.randn(6, 9, *features), "seen": seen}
    return pairs.learner(
        model, batch, loss_of, target="series", predict=lambda batch: fill(batch).detach()
    )


def several_series_hidden_in_the_batch():
    return hidden_in_the_batch(3)


def hidden_in_the_batch_beside_segments():
    """Words that are seen help to guess those that are hidden, whichever comes first."""
    embed, mark, head = nn.Embedding(9, 8), nn.Embedding(3, 8), nn.Linear(8, 9)
    hidden = torch.rand(4, 7) < 0.4
    hidden[:, 1] = True
    hidden[0, -1] = hidden[-1, -1] = True

    def logits(batch):
        z = embed(batch["words"].masked_fill(batch["hidden"], 0)) + mark(batch["segments"])
        return head(z + z.mean(1, keepdim=True))

    def loss_of(_, batch):
        return F.cross_entropy(logits(batch)[batch["hidden"]], batch["words"][batch["hidden"]])

    batch = {"words": torch.randint(1, 9, (4, 7)), "hidden": hidden}
    batch["segments"] = torch.randint(0, 3, (4, 7))
    return pairs.learner(
        nn.ModuleList([embed, mark, head]),
        batch,
        loss_of,
        target="words",
        predict=lambda batch: logits(batch).detach(),
    )


def autoencoder_for_a_class():
    """What it is to give is what it reads; the class is told besides."""
    mark, code, back = nn.Embedding(20, 3), nn.Linear(7, 2), nn.Linear(5, 4)

    def again(batch):
        told = mark(batch["class"])
        return back(torch.cat([code(torch.cat([batch["x"], told], 1)), told], 1))

    return pairs.learner(
        nn.ModuleList([mark, code, back]),
        {"x": torch.randn(6, 4), "class": torch.randint(0, 20, (6,))},
        lambda _, batch: F.mse_loss(again(batch), batch["x"]),
        target="x",
        predict=lambda batch: again(batch).detach(),
    )


def test_labels_mixed_with_an_input_of_their_own_shape_are_warned():
    """It may be noise that is to be taken away again."""

    def build():
        model = nn.Linear(4, 4)

        def clean(batch):
            return model(batch["image"] + 0.3 * batch["noise"])

        return pairs.learner(
            model,
            {"image": torch.randn(6, 4), "noise": torch.randn(6, 4)},
            lambda _, batch: F.mse_loss(clean(batch), batch["image"]),
            target="image",
            predict=lambda batch: clean(batch).detach(),
        )

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "(image)" in finding.message


def test_a_decoder_without_a_predict(caught):
    def build():
        model = tokens.Translator()

        def loss_of(model, batch):
            logits = model(batch["x"], batch["y"])
            return F.cross_entropy(logits.transpose(1, 2), batch["y"])

        batch = {"x": tokens.sentences(5), "y": tokens.sentences()}
        return pairs.learner(model, batch, loss_of)

    caught(RULE, build)


def masking_inside_the_step():
    """The tokens are their own labels, and those that are asked for are hidden."""

    def loss_of(model, batch):
        hidden = torch.rand(batch["ids"].shape) < 0.4
        logits = model(batch["ids"].masked_fill(hidden, 0))
        return F.cross_entropy(logits[hidden], batch["ids"][hidden])

    def everything(length):
        return torch.ones(length, length).bool()

    model = tokens.LanguageModel(tokens.Attention(everything))
    return pairs.learner(model, {"ids": tokens.sentences()}, loss_of, target="ids")


def diffusion_that_predicts_the_data():
    """The labels are the data, and the model sees them through noise."""

    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4 + 3 + 1, 3)

        def forward(self, x, noisy, time):
            return self.inner(torch.cat([x, noisy, time], 1))

    def loss_of(model, batch):
        time, noise = torch.rand(6, 1), torch.randn(6, 3)
        return F.mse_loss(
            model(batch["x"], (1 - time) * batch["y"] + time * noise, time), batch["y"]
        )

    return pairs.learner(Denoiser(), {"x": torch.randn(6, 4), "y": torch.randn(6, 3)}, loss_of)


def test_a_margin_loss_in_the_model_is_warned():
    (finding,) = torchproof.prove(pairs.angular_margin_in_the_model, rules=[RULE]).findings
    assert finding.severity == "warning"


def adversarial_examples():
    """Inputs are pushed up the gradient of the loss, which knows the labels."""

    def loss_of(model, batch):
        x = batch["x"].clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model(x), batch["y"]), x)
        return F.cross_entropy(model(batch["x"] + 0.1 * slope.sign()), batch["y"])

    return pairs.learner(zoo.mlp(), pairs.labelled(4), loss_of)


@pytest.mark.parametrize(
    "build",
    [
        adversarial_examples,
        right_decoder,
        decoder_of_numbers,
        hidden_in_the_batch,
        several_series_hidden_in_the_batch,
        hidden_in_the_batch_beside_segments,
        autoencoder_for_a_class,
        decoder_whose_prediction_tells_the_fit_of_each_word,
        masking_inside_the_step,
        diffusion_that_predicts_the_data,
        tokens.masked_language_model,
        tokens.autoencoder_of_tokens,
        tokens.language_model,
        tokens.translation_that_shifts_its_labels_inside,
        *pairs.RIGHT[:9],
        pairs.diffusion_for_a_class,
        tokens.translation_with_teacher_forcing,
        tokens.copying_translation,
        tokens.shifted_inside_the_model,
        zoo.actor_critic_with_a_baseline,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


class Speakers(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.given, self.speaker, self.body = given, nn.Embedding(3, 2), nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x, y):
        told = self.speaker(y) if self.given else torch.zeros(len(x), 2)
        scores = self.head(self.body(torch.cat([x, told], 1)).relu())
        return scores if self.given else harder(scores, y)


def harder(scores, y):
    """Weigh all scores by that of the true class, as CurricularFace does."""
    true = scores.gather(1, y[:, None])
    return torch.where(scores > true - 1, scores * (1 + true), scores)


def speakers(given):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"], batch["y"]), batch["y"])

    return pairs.learner(Speakers(given), pairs.labelled(4), loss_of)


def test_a_label_that_a_layer_reads_and_is_to_predict(caught):
    caught(RULE, lambda: speakers(given=True))


def test_a_label_that_only_weighs_the_scores_is_no_error():
    found = torchproof.prove(lambda: speakers(given=False)).findings
    assert all(each.severity != "error" for each in found if each.rule == RULE)
