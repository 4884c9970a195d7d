"""Bugs of the class `rows-predicted`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "rows-predicted"


def predicting(answer):
    model = zoo.mlp()

    def predict(batch):  # here
        with torch.no_grad():
            return answer(model.eval(), batch)

    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(b["x"]), b["y"]),
        predict=predict,
    )


def parts_of(size):
    return lambda model, batch: [model(part) for part in batch["x"].split(size)]


def full_parts(size):
    def answer(model, batch):
        parts = parts_of(size)(model, batch)
        return torch.cat([part for part in parts if len(part) == len(parts[0])])

    return answer


@pytest.mark.parametrize("size", [2, 4, 5])
def test_a_last_part_that_is_dropped(caught, size):
    finding, line = caught(RULE, lambda: predicting(full_parts(size)))
    assert line.endswith("# here")
    assert finding.evidence["predictions"] % size == 0


def test_a_loop_that_ends_too_early(caught):
    def answer(model, batch):
        starts = range(0, len(batch["x"]) - 2, 3)
        return torch.cat([model(batch["x"][start : start + 3]) for start in starts])

    caught(RULE, lambda: predicting(answer))


def whole(model, batch):
    return torch.cat(parts_of(4)(model, batch))


def first_few_to_look_at(model, batch):
    return model(batch["x"][:4])


def sure_ones(model, batch):
    chances = model(batch["x"]).softmax(1)
    return chances[chances.amax(1) > chances.amax(1).mean()]


def labelled_ones(model, batch):
    return model(batch["x"])[batch["y"] == 0]


def halves_against_each_other(model, batch):
    first, second = model(batch["x"]).tensor_split(2)
    return first[: len(second)] @ second.T


def mean_of_all(model, batch):
    return model(batch["x"]).mean(0)


def classes_found(model, batch):
    return model(batch["x"]).argmax(1).unique()


@pytest.mark.parametrize(
    "answer",
    [
        whole,
        first_few_to_look_at,
        sure_ones,
        labelled_ones,
        halves_against_each_other,
        mean_of_all,
        classes_found,
    ],
)
def test_right_predictions_are_silent(answer):
    assert not torchproof.prove(lambda: predicting(answer), rules=[RULE]).findings


@pytest.mark.parametrize("build", [pairs.generator_of_noise, zoo.gan_with_two_optimizers])
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
