"""Bugs of the class `label-positions`."""

import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "label-positions"


def language(loss_of, batch=None, model=None, **options):
    words = tokens.sentences()
    batch = batch or {"x": words, "y": words}
    return tokens.trainee(model or tokens.LanguageModel(), batch, loss_of, **options)


def test_labels_that_are_not_shifted(caught):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())  # here

    finding, line = caught(RULE, lambda: language(loss_of))
    assert line.endswith("# here")
    assert finding.evidence["shift"] == 0


def test_labels_that_are_shifted_twice(caught):
    def build():
        words = tokens.sentences(tokens.LENGTH + 1)
        batch = {"x": words[:, :-1], "y": words[:, 1:]}
        return language(lambda m, b: tokens.next_token_loss(m(b["x"]), b["y"]), batch)

    finding, _ = caught(RULE, build)
    assert finding.evidence["shift"] == 2


class Loss(tokens.LanguageModel):
    """Returns its loss alone, and shifts the labels or not; the extra head looks farther ahead."""

    def __init__(self, shift, *, ahead=False):
        super().__init__()
        self.shift, self.ahead = shift, nn.Linear(8, tokens.WORDS) if ahead else None

    def forward(self, words, labels):
        logits = super().forward(words)
        kept = logits.shape[1] - self.shift
        loss = F.cross_entropy(logits[:, :kept].flatten(0, 1), labels[:, self.shift :].flatten())
        if self.ahead is None:
            return loss
        later = self.ahead(self.embed(words))[:, :-1]
        return loss + F.cross_entropy(later.flatten(0, 1), labels[:, 1:].flatten())


def loss_inside(shift, **options):
    def build():
        words = tokens.sentences(tokens.LENGTH + 1)
        batch = {"x": words[:, :-1], "y": words[:, 1:]}
        model = Loss(shift, **options)
        return tokens.trainee(model, batch, lambda m, b: m(b["x"], b["y"]))

    return build


def test_labels_that_are_shifted_twice_inside_of_a_model_that_returns_its_loss(caught):
    finding, _ = caught(RULE, loss_inside(1))
    assert finding.evidence["shift"] == 2


@pytest.mark.parametrize("ahead", [False, True])
def test_a_model_that_returns_its_loss_and_shifts_once_is_silent(ahead):
    assert not torchproof.prove(loss_inside(0, ahead=ahead), rules=[RULE]).findings


def test_labels_that_are_shifted_the_wrong_way(caught):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"])[:, 1:].flatten(0, 1), batch["y"][:, :-1].flatten())

    finding, _ = caught(RULE, lambda: language(loss_of))
    assert finding.evidence["shift"] == -1


def test_classes_that_are_reshaped_instead_of_exchanged(caught):
    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits.reshape(len(logits), tokens.WORDS, -1), batch["y"])

    finding, _ = caught(RULE, lambda: language(loss_of))
    assert "reshaped" in finding.message


def segmentation(arrange, width=5):
    def loss_of(model, batch):
        return F.cross_entropy(*arrange(model(batch["x"]), batch["y"]))

    batch = {"x": torch.randn(4, 1, 5, width), "y": torch.randint(0, 3, (4, 5, width))}
    return tokens.trainee(nn.Conv2d(1, 3, 3, padding=1), batch, loss_of)


@pytest.mark.parametrize("width", [5, 6])
def test_an_image_flattened_before_its_channels_are_last(caught, width):
    caught(RULE, lambda: segmentation(lambda out, y: (out.reshape(-1, 3), y.flatten()), width))


class Head(nn.Module):
    """Lays the output of one layer out anew."""

    def __init__(self, layer, arrange):
        super().__init__()
        self.layer, self.arrange = layer, arrange

    def forward(self, x):
        return self.arrange(self.layer(x))


def detector(arrange, width=6):
    """Two anchors of four classes at each place of a map, laid out inside the model."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())

    batch = {"x": torch.randn(4, 1, 6, width), "y": torch.randint(0, 4, (4, 12 * width))}
    head = Head(nn.Conv2d(1, 8, 3, padding=1), arrange)
    return tokens.trainee(head, batch, loss_of)


@pytest.mark.parametrize("width", [6, 8])
def test_anchors_cut_from_a_map_before_its_channels_are_last(caught, width):
    caught(RULE, lambda: detector(lambda out: out.view(len(out), -1, 4), width))


def test_several_maps_cut_before_their_channels_are_last(caught):
    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleList(nn.Conv2d(1, 8, 3, padding=1) for _ in range(2))

        def forward(self, x):
            parts = [head(x).reshape(len(x), -1, 4) for head in self.heads]
            return torch.cat(parts, 1)

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())

    def build():
        batch = {"x": torch.randn(4, 1, 6, 6), "y": torch.randint(0, 4, (4, 144))}
        return tokens.trainee(Scales(), batch, loss_of)

    caught(RULE, build)


def anchors_with_their_channels_last():
    return detector(lambda out: out.permute(0, 2, 3, 1).reshape(len(out), -1, 4))


def anchors_before_their_classes():
    def arrange(out):
        return out.unflatten(1, (2, 4)).permute(0, 3, 4, 1, 2).reshape(len(out), -1, 4)

    return detector(arrange)


def places_of_points(size):
    """Each channel is a map of where a point is: one softmax over all places, or over a line."""

    def build():
        def loss_of(model, batch):
            return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())

        head = Head(nn.Conv2d(1, 8, 3, padding=1), lambda out: out.reshape(len(out), -1, size))
        batch = {"x": torch.randn(4, 1, 2, 4), "y": torch.randint(0, size, (4, 64 // size))}
        return tokens.trainee(head, batch, loss_of)

    return build


def tagger(arrange, features=6, places=5):
    """Classes of each place from a linear layer, laid out inside the model."""

    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits, batch["y"].reshape(len(logits), -1)[:, : logits.shape[2]])

    batch = {"x": torch.randn(4, places, 3), "y": torch.randint(0, 3, (4, places * features))}
    return tokens.trainee(Head(nn.Linear(3, features), arrange), batch, loss_of)


@pytest.mark.parametrize("classes", [3, 6])
def test_classes_that_the_model_reshapes_instead_of_exchanging(caught, classes):
    finding, _ = caught(RULE, lambda: tagger(lambda out: out.reshape(len(out), classes, -1)))
    assert "reshaped" in finding.message


def divisible(arrange, *, inside=False):
    """Six places and three classes from a linear layer: parts of the places are classes as well."""

    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits if inside else arrange(logits), batch["y"])

    labels = torch.randint(0, 3, (4, 6))
    labels[0, -1] = -100
    batch = {"x": torch.randn(4, 6, 2), "y": labels}
    head = Head(nn.Linear(2, 3), arrange if inside else lambda out: out)
    return tokens.trainee(head, batch, loss_of)


@pytest.mark.parametrize("inside", [False, True])
def test_places_that_are_a_multiple_of_the_reshaped_classes(caught, inside):
    finding, _ = caught(RULE, lambda: divisible(lambda out: out.reshape(4, 3, 6), inside=inside))
    assert "reshaped" in finding.message


def patches(arrange):
    """A linear layer's classes of the patches of a square image, as many as it is wide."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]), batch["y"])

    batch = {"x": torch.randn(4, 9, 2), "y": torch.randint(0, 3, (4, 3, 3))}
    return tokens.trainee(Head(nn.Linear(2, 3), arrange), batch, loss_of)


def test_patches_that_are_reshaped_to_a_map_before_their_classes_are_first(caught):
    caught(RULE, lambda: patches(lambda out: out.reshape(4, 3, 3, 3)))


def patches_whose_classes_are_first():
    return patches(lambda out: out.transpose(1, 2).reshape(4, 3, 3, 3))


def several_labels_of_each_place():
    """Two labels of four classes at each of four places, as one row of labels."""

    def loss_of(model, batch):
        logits = model(batch["x"]).unflatten(2, (2, 4))
        return F.cross_entropy(logits.flatten(0, 2), batch["y"].flatten())

    batch = {"x": torch.randn(4, 4, 3), "y": torch.randint(0, 4, (4, 8))}
    return tokens.trainee(nn.Linear(3, 8), batch, loss_of)


def divisible_and_exchanged():
    return divisible(lambda out: out.transpose(1, 2))


def divisible_and_exchanged_inside():
    return divisible(lambda out: out.transpose(1, 2), inside=True)


def variables_over_time():
    """A linear layer along time; two variables of three classes lie in the axis before it."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).unflatten(1, (3, 2)), batch["y"])

    batch = {"x": torch.randn(4, 6, 5), "y": torch.randint(0, 3, (4, 2, 3))}
    return tokens.trainee(nn.Linear(5, 3), batch, loss_of)


def classes_that_the_model_exchanges():
    return tagger(lambda out: out.reshape(len(out), -1, 3).transpose(1, 2))


def places_that_are_classes():
    """A pointer: which of the places, once for each feature."""
    return tagger(lambda out: out, features=3)


def features_of_a_row_in_any_layout():
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]), batch["y"])

    head = Head(nn.Linear(3, 12), lambda out: out.view(len(out), 4, 3))
    batch = {"x": torch.randn(4, 3), "y": torch.randint(0, 4, (4, 3))}
    return tokens.trainee(head, batch, loss_of)


def image_right():
    return segmentation(lambda out, y: (out, y))


def image_flattened_right():
    return segmentation(lambda out, y: (out.permute(0, 2, 3, 1).reshape(-1, 3), y.flatten()))


def anchors():
    """Each place of the grid has two anchors of three classes."""

    def loss_of(model, batch):
        logits = model(batch["x"]).unflatten(1, (2, 3))
        return F.cross_entropy(logits.transpose(1, 2), batch["y"])

    batch = {"x": torch.randn(4, 1, 6, 6), "y": torch.randint(0, 3, (4, 2, 6, 6))}
    return tokens.trainee(nn.Conv2d(1, 6, 3, padding=1), batch, loss_of)


def a_place_along_the_width():
    """Each of three points is classified by where it lies along the width of its own map."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).mean(2).flatten(0, 1), batch["y"].flatten())

    batch = {"x": torch.randn(4, 1, 5, 6), "y": torch.randint(0, 6, (4, 3))}
    return tokens.trainee(nn.Conv2d(1, 3, 3, padding=1), batch, loss_of)


def regression_over_time():
    batch = {"x": torch.randn(4, 6, 2), "y": torch.randn(4, 6, 1)}
    return tokens.trainee(nn.Linear(2, 1), batch, lambda m, b: F.mse_loss(m(b["x"]), b["y"]))


def confident_language_model():
    """Logits so large that probabilities are zero or one."""

    def loss_of(model, batch):
        return tokens.next_token_loss(50 * model(batch["x"]), batch["y"])

    return language(loss_of)


def confident_tagger():
    """Some positions are all but certain, so that their gradients are smaller than rounding."""

    def loss_of(model, batch):
        return F.cross_entropy(20 * model(batch["x"]).flatten(0, 1), batch["y"].flatten())

    batch = {"x": tokens.sentences(12), "y": torch.randint(0, 2, (4, 12))}
    model = nn.Sequential(nn.Embedding(tokens.WORDS, 8), nn.Linear(8, 2))
    return tokens.trainee(model, batch, loss_of)


LOOK_ALIKES = [
    image_right,
    image_flattened_right,
    anchors,
    a_place_along_the_width,
    regression_over_time,
    confident_language_model,
    confident_tagger,
    anchors_with_their_channels_last,
    anchors_before_their_classes,
    places_of_points(4),
    places_of_points(8),
    classes_that_the_model_exchanges,
    several_labels_of_each_place,
    patches_whose_classes_are_first,
    divisible_and_exchanged,
    divisible_and_exchanged_inside,
    variables_over_time,
    places_that_are_classes,
    features_of_a_row_in_any_layout,
]


@pytest.mark.parametrize(
    "build", [*LOOK_ALIKES, *tokens.RIGHT, *zoo.HEALTHY], ids=lambda build: build.__name__
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
