"""Bugs of the class `sample-pairing`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "sample-pairing"


def classifier(pair, model=None):
    def loss_of(model, batch):
        x, y = pair(batch["x"], batch["y"])
        return F.cross_entropy(model(x), y)  # here

    return pairs.learner(model or zoo.mlp(), pairs.labelled(4), loss_of)


def test_inputs_shuffled_and_labels_not(caught):
    order = torch.tensor([3, 0, 4, 1, 5, 2])
    finding, line = caught(RULE, lambda: classifier(lambda x, y: (x[order], y)))
    assert line.endswith("# here")
    assert finding.evidence["row of the label"] == 0


def test_labels_shuffled_anew_in_each_step(caught):
    caught(RULE, lambda: classifier(lambda x, y: (x, y[torch.randperm(6)])))


def test_labels_off_by_one(caught):
    finding, _ = caught(RULE, lambda: classifier(lambda x, y: (x, y.roll(1))))
    assert finding.evidence["place in the output"] == 1
    assert "The label of row 0 is compared with the prediction for another row" in finding.message


def regression(loss_of, target=lambda y: y):
    batch = {"x": torch.randn(6, 4), "y": torch.rand(6) + 0.5}
    return pairs.learner(
        zoo.mlp(4, 1), batch, lambda m, b: loss_of(m(b["x"]).squeeze(1), target(b["y"]))
    )


def root(outputs, labels):
    return F.mse_loss(outputs, labels).sqrt()


def share_of_the_variance(outputs, labels):
    return (outputs - labels).square().sum() / (labels - labels.mean()).square().sum()


def root_of_distances(outputs, labels):
    return (outputs - labels).abs().mean().sqrt()


def relative(outputs, labels):
    return (outputs - labels).abs().sum() / labels.sum()


def root_of_steps(outputs, labels):
    return root(outputs.diff(), labels.diff())


def root_of_the_worst(outputs, labels):
    return (outputs - labels).square().topk(2).values.mean().sqrt()


@pytest.mark.parametrize("loss_of", [root, share_of_the_variance])
def test_a_factor_that_all_labels_share_does_not_hide_it(caught, loss_of):
    finding, _ = caught(RULE, lambda: regression(loss_of, lambda y: y.roll(1)))
    assert finding.evidence["place in the output"] == 1


@pytest.mark.parametrize(
    "loss_of",
    [root, share_of_the_variance, root_of_distances, relative, root_of_steps, root_of_the_worst],
)
def test_a_factor_that_all_labels_share_is_right(loss_of):
    assert not torchproof.prove(lambda: regression(loss_of), rules=[RULE]).findings


class Tagger(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        self.gru, self.head = (
            nn.GRU(2, 8, batch_first=True, bidirectional=True),
            nn.Linear(16, outputs),
        )

    def forward(self, x):
        return self.head(self.gru(x)[0])


def tagger(loss_of, outputs=3, labels=None):
    """Each of five positions has a class."""
    labels = torch.randint(0, 3, (6, 5)) if labels is None else labels
    batch = {"x": torch.randn(6, 5, 2), "y": labels}
    return pairs.learner(Tagger(outputs), batch, lambda m, b: loss_of(m, b["x"], b["y"]))


def classes(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


@pytest.mark.parametrize(("shift", "position", "place"), [(1, 4, 0), (-1, 0, 4), (-2, 0, 3)])
def test_labels_shifted_around_the_end_of_their_sequence(caught, shift, position, place):
    finding, _ = caught(RULE, lambda: tagger(lambda m, x, y: classes(m(x), y.roll(shift, 1))))
    assert finding.evidence["position of the labels"] == position
    assert finding.evidence["of the output"] == place


def corners_of_polygons():
    """Whichever is the first corner, the closed line is the same."""

    def loss_of(model, x, y):
        shifts = [(model(x) - y.roll(each, 1)).square().mean((1, 2)) for each in range(5)]
        return torch.stack(shifts).amin(0).mean()

    corners = torch.randn(5, 2) * 3
    return tagger(loss_of, 2, corners + 0.01 * torch.randn(6, 5, 2))


def tokens_that_go_round():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    tokens = torch.randint(0, 9, (6, 5))
    return pairs.learner(
        model,
        {"x": tokens, "y": tokens.clone()},
        lambda m, b: classes(m(b["x"]), b["y"].roll(-1, 1)),
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: tagger(lambda m, x, y: classes(m(x), y)),
        lambda: tagger(lambda m, x, y: classes(m(x)[:, :-1], y[:, 1:])),
        lambda: tagger(lambda m, x, y: classes(m(x.roll(2, 1)), y.roll(2, 1))),
        lambda: tagger(lambda m, x, y: classes(m(x.flip(1)), y.flip(1))),
        corners_of_polygons,
        tokens_that_go_round,
    ],
    ids=["own", "next", "both moved", "both reversed", "polygons", "tokens"],
)
def test_labels_of_positions_that_are_right(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_batch_norm_does_not_hide_it(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
        return classifier(lambda x, y: (x.flip(0), y), model)

    caught(RULE, build)


def test_parts_of_a_shuffled_batch(caught):
    """Each part is a call of its own, and no call sees all rows."""

    def build():
        def loss_of(model, batch):
            order = torch.tensor([3, 0, 4, 1, 5, 2])
            parts = zip(order.split(2), batch["y"].split(2))
            return sum(F.cross_entropy(model(batch["x"][rows]), y) for rows, y in parts) / 3

        return pairs.learner(zoo.mlp(), pairs.labelled(4), loss_of)

    caught(RULE, build)


def test_a_drawn_part_of_the_batch(caught):
    """Some rows are not drawn at all."""
    drawn = torch.tensor([3, 0, 4])
    caught(RULE, lambda: classifier(lambda x, y: (x[drawn], y[:3])))


def test_one_of_two_labels_off_by_one(caught):
    def build():
        def loss_of(model, batch):
            values = model(batch["x"])
            right = F.cross_entropy(values[:, :3], batch["y"]["kind"])
            return right + F.mse_loss(values[:, 3], batch["y"]["size"].roll(1))

        kinds = torch.tensor([0, 1, 2, 1, 0, 2])
        batch = {"x": torch.randn(6, 4), "y": {"kind": kinds, "size": torch.randn(6)}}
        return pairs.learner(nn.Linear(4, 4), batch, loss_of)

    caught(RULE, build)


def test_two_views_whose_labels_are_repeated_row_by_row(caught):
    caught(RULE, lambda: classifier(lambda x, y: (torch.cat([x, x + 1]), y.repeat_interleave(2))))


ORDER = torch.tensor([3, 0, 4, 1, 5, 2])


def mixed(inputs, share, order, *, images=False):
    """``inputs`` mixes images or rows of four numbers; labels are mixed by share and order."""

    def build():
        def loss_of(model, batch):
            values = model(inputs(batch["x"]))
            one, other = (F.cross_entropy(values, y) for y in (batch["y"], batch["y"][order]))
            return share * one + (1 - share) * other

        batch = pairs.labelled(2, 8, 8) if images else pairs.labelled(4)
        model = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)) if images else zoo.mlp()
        return pairs.learner(model, batch, loss_of)

    return build


def blend(x):
    return 0.7 * x + 0.3 * x[ORDER]


def cut(x):
    x = x.clone()
    x[:, :, 2:6, 2:6] = x.clone()[ORDER][:, :, 2:6, 2:6]
    return x


def test_rows_and_labels_mixed_in_two_orders(caught):
    finding, _ = caught(RULE, mixed(blend, 0.7, ORDER.flip(0)))
    assert "a prediction for other rows" in finding.message


def test_rows_and_labels_mixed_in_exchanged_shares(caught):
    finding, _ = caught(RULE, mixed(blend, 0.3, ORDER))
    assert "mixed in other shares: 0.7 of the input is its own and 0.3" in finding.message


@pytest.mark.parametrize("share", [0.25, 0.2])
def test_labels_mixed_by_another_share_than_that_of_the_cut(caught, share):
    finding, _ = caught(RULE, mixed(cut, share, ORDER, images=True))
    assert finding.evidence["share of its label"] == pytest.approx(share)


@pytest.mark.parametrize(
    "build",
    [
        mixed(blend, 0.7, ORDER),
        mixed(blend, 0.8, ORDER),
        mixed(cut, 0.75, ORDER, images=True),
        mixed(cut, 0.7, ORDER, images=True),
        mixed(cut, 1.0, ORDER, images=True),
        mixed(lambda x: x + 0.1 * x[ORDER], 1.0, ORDER),
    ],
    ids=["mixup", "other shares", "cutmix", "whole pixels", "a patch for noise", "noise"],
)
def test_rows_and_labels_mixed_alike_are_right(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert proof.passed, str(proof)


def segmenter(move):
    """``move`` moves image and mask."""

    def build():
        def loss_of(model, batch):
            x, y = move(batch["x"], batch["y"])
            return F.cross_entropy(model(x), y)

        batch = {"x": torch.randn(4, 1, 8, 8), "y": torch.randint(0, 3, (4, 8, 8))}
        model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1))
        return pairs.learner(model, batch, loss_of)

    return build


def flipped(*, mask):
    def move(x, y):
        heads = torch.rand(()) < 0.5
        return (x.flip(-1), y.flip(-1) if mask else y) if heads else (x, y)

    return segmenter(move)


def flipped_one_by_one(x, y):
    heads = torch.rand(4) < 0.5
    turned = torch.where(heads[:, None, None], y.flip(-1), y)
    return torch.where(heads[:, None, None, None], x.flip(-1), x), turned


def cropped(*, apart):
    def move(x, y):
        line, column = torch.randint(0, 2, (2,)).tolist()
        there = line + apart
        return x[:, :, line : line + 5, column : column + 5], y[:, there : there + 5, column:][
            :, :, :5
        ]

    return segmenter(move)


def resized(x, y):
    size = [int(torch.randint(4, 13, ()))] * 2
    small = F.interpolate(y[:, None].float(), size).long()[:, 0]
    return F.interpolate(x, size, mode="bilinear"), small


@pytest.mark.parametrize(
    "build",
    [
        flipped(mask=False),
        segmenter(lambda x, y: (x.rot90(1, (2, 3)), y)),
        segmenter(lambda x, y: (x, y.flip(1))),
        cropped(apart=2),
    ],
    ids=["flip", "rotation", "mask alone", "crop"],
)
def test_images_moved_otherwise_than_their_masks(caught, build):
    finding, _ = caught(RULE, build)
    assert "The image is moved and its labels are not, or otherwise" in finding.message


@pytest.mark.parametrize(
    "build",
    [
        flipped(mask=True),
        segmenter(flipped_one_by_one),
        cropped(apart=0),
        segmenter(resized),
        segmenter(lambda x, y: (x[ORDER[ORDER < 4]], y[ORDER[ORDER < 4]])),
    ],
    ids=["flip", "flips of rows", "crop", "resize", "shuffle"],
)
def test_images_moved_with_their_masks_are_right(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert proof.passed, str(proof)


def test_numbers_sorted_by_themselves(caught):
    def build():
        def loss_of(model, batch):
            return F.mse_loss(model(batch["x"]).squeeze(1), batch["y"].sort().values)

        return pairs.learner(nn.Linear(4, 1), {"x": torch.randn(6, 4), "y": falling()}, loss_of)

    def falling():
        return torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])

    caught(RULE, build)


def test_time_and_rows_flattened_in_another_order(caught):
    def build():
        trainee = pairs.time_before_rows()
        optimizer = torch.optim.Adam(trainee.model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(trainee.model(batch["x"]).flatten(0, 1), batch["y"].flatten())
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(trainee.model, trainee.batch, step)

    caught(RULE, build)


def dice(logits, masks):
    shares = logits.sigmoid()
    return 1 - (2 * (shares * masks).sum() + 1) / (shares.sum() + masks.sum() + 1)


def weighted_by_the_batch(logits, masks):
    weight = (1 - masks).sum() / masks.sum()
    return F.binary_cross_entropy_with_logits(logits, masks, pos_weight=weight)


def hard_negatives(logits, masks):
    losses = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return losses[masks > 0].mean() + losses[masks == 0].topk(20).values.mean()


def of_valid_places(values, masks):
    return (values - masks)[masks > 0].abs().mean()


@pytest.mark.parametrize("loss", [dice, weighted_by_the_batch, hard_negatives, of_valid_places])
def test_losses_over_the_places_of_the_whole_batch_are_right(loss):
    """One label moves the gradient in other rows, too."""

    def build():
        images = torch.randn(4, 3, 8, 8)
        batch = {"x": images, "y": (images[:, :1] > 0.3).float()}
        model = nn.Conv2d(3, 1, 3, padding=1)
        return pairs.learner(model, batch, lambda model, b: loss(model(b["x"]), b["y"]))

    proof = torchproof.prove(build, rules=[RULE])
    assert proof.passed, str(proof)


def pairs_of_one_class(*, detached, together):
    def build():
        def loss_of(model, batch):
            alike = batch["y"] == batch["y"][ORDER]
            both = batch["x"], batch["x"][ORDER]
            one, other = model(torch.cat(both)).chunk(2) if together else map(model, both)
            gaps = (one - (other.detach() if detached else other)).pow(2).sum(1)
            return torch.where(alike, gaps, F.relu(4 - gaps)).mean()

        return pairs.learner(zoo.mlp(4, 8), pairs.labelled(4), loss_of)

    return build


def test_pairs_whose_labels_are_compared_with_themselves(caught):
    def build():
        def loss_of(model, batch):
            other = batch["x"][ORDER]
            alike = batch["y"] == batch["y"]  # here
            gaps = (model(batch["x"]) - model(other)).pow(2).sum(1)
            return torch.where(alike, gaps, F.relu(4 - gaps)).mean()

        return pairs.learner(zoo.mlp(4, 8), pairs.labelled(4), loss_of)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def ranks_of_neighbours():
    """Whether a row comes before the next stays the same with most other labels."""

    def loss_of(model, batch):
        scores = model(batch["x"])[:, 0]
        order = (batch["y"] - batch["y"].roll(1)).sign()
        return -((scores - scores.detach().roll(1)) * order).mean()

    batch = {"x": torch.randn(6, 4), "y": torch.randn(6)}
    return pairs.learner(zoo.mlp(4, 1), batch, loss_of)


def sorted_together():
    def loss_of(model, batch):
        rows = model(batch["x"][batch["y"].argsort()])
        return F.mse_loss(rows[:, 0], batch["y"].sort().values)

    batch = {"x": torch.randn(6, 4), "y": torch.randn(6)}
    return pairs.learner(zoo.mlp(4, 1), batch, loss_of)


def neighbours_in_a_graph():
    """A node's prediction is made of its neighbours, and classes are weighted by their counts."""

    def loss_of(model, batch):
        weights = 1 / batch["y"].bincount(minlength=3).clamp(min=1)
        edges = (torch.eye(6).roll(1, 0) + torch.eye(6).roll(2, 0)) / 2
        return F.cross_entropy(model(edges @ batch["x"]), batch["y"], weight=weights)

    return pairs.learner(zoo.mlp(), pairs.labelled(4), loss_of)


@pytest.mark.parametrize(
    "build",
    [
        pairs_of_one_class(detached=False, together=False),
        pairs_of_one_class(detached=True, together=False),
        pairs_of_one_class(detached=False, together=True),
        pairs_of_one_class(detached=True, together=True),
        ranks_of_neighbours,
        sorted_together,
        neighbours_in_a_graph,
    ],
)
def test_losses_of_several_rows_are_right(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert proof.passed, str(proof)


@pytest.mark.parametrize("build", [*pairs.RIGHT[:9], zoo.mixup_within_the_batch])
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
