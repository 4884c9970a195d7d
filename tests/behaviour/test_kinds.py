"""The three kinds of behaviour test, on models that fit in a line."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchproof.behaviour.kinds import Limits, judge
from torchproof.behaviour.predictions import predictor
from torchproof.errors import UsageError


GOOD = ("good", "fine", "nice")


def sentiment(texts):
    """Takes a text for positive if it holds a good word: it knows nothing of negation."""
    return ["positive" if any(word in text.lower() for word in GOOD) else "other" for text in texts]


def right(answers):
    return [answer.right for answer in answers]


def test_an_mft_has_an_answer_for_each_input():
    texts = ["good film", "not good", "bad"]
    answers = judge("MFT", sentiment, texts, ["positive", "other", "other"])
    assert right(answers) == [True, False, True]
    assert (answers[1].expected, answers[1].got) == ("other", "positive")


def test_an_mft_may_have_one_answer_for_all_or_a_function():
    assert right(judge("MFT", sentiment, ["good", "bad"], "positive")) == [True, False]
    seen = judge("MFT", sentiment, ["good", "bad"], lambda text, answer: len(answer) == 8)
    assert right(seen) == [True, False]


def test_an_inv_changes_the_input_by_a_function_a_list_or_pairs():
    texts = ["a GOOD film", "bad"]
    by_function = judge("INV", sentiment, texts, str.lower)
    by_list = judge("INV", sentiment, texts, ["a good film", "bad"])
    by_pairs = judge("INV", sentiment, [("a GOOD film", "a good film"), ("bad", "bad")])
    assert by_function == by_list == by_pairs
    assert right(by_function) == [True, True]
    assert right(judge("INV", sentiment, texts, perturb=lambda text: "fine " + text)) == [
        True,
        False,
    ]


def test_numbers_may_be_a_little_apart():
    answers = judge(
        "INV", lambda x: x * 2, torch.ones(2), lambda x: x + 0.01, limits=Limits(within=0.03)
    )
    assert right(answers) == [True, True]
    assert answers[0].expected == "2 ± 0.03"


def test_a_dir_moves_the_right_way_and_far_enough():
    def price(rooms):
        return [100 * room for room in rooms]

    pairs = [(1, 2), (2, 1), (1, 1)]
    assert right(judge("DIR", price, pairs, "increase")) == [True, False, False]
    assert right(judge("DIR", price, pairs, "decrease")) == [False, True, False]
    enough = Limits(at_least=150)
    assert right(judge("DIR", price, [(1, 2), (1, 3)], "increase", limits=enough)) == [False, True]
    bounded = Limits(at_least=-10, at_most=50)
    assert right(judge("DIR", price, pairs, "increase", limits=bounded)) == [False, False, True]
    assert right(judge("DIR", price, pairs, lambda old, new: new == 2 * old)) == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_never_right(odd):
    def broken(rows):
        return [odd for _ in rows]

    assert right(judge("MFT", broken, [1], [odd])) == [False]
    assert right(judge("INV", broken, [(1, 1)])) == [False]
    assert right(judge("DIR", broken, [(1, 2)], "increase")) == [False]


def test_a_module_answers_in_evaluation_mode_with_the_class_of_the_largest_score():
    model = torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Linear(3, 3, bias=False))
    torch.nn.init.eye_(model[1].weight)
    answers = judge("MFT", predictor(None, model), torch.eye(3), torch.arange(3))
    assert right(answers) == [True] * 3
    assert model.training
    assert model[0].training


def test_a_class_whose_scores_are_not_finite_is_no_class():
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, float("nan"))
    assert right(judge("MFT", predictor(None, model), torch.ones(1, 2), [0])) == [False]


@given(st.lists(st.integers(-5, 5), min_size=1), st.randoms())
def test_every_input_is_judged_by_itself(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    judged = right(judge("MFT", lambda rows: [row % 3 for row in rows], values, 1))
    shuffled = [values[at] for at in order]
    again = right(judge("MFT", lambda rows: [row % 3 for row in rows], shuffled, 1))
    assert again == [judged[at] for at in order]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"kind": "ABC"}, "kind is 'ABC'"),
        ({"kind": "MFT"}, "nothing to expect"),
        ({"kind": "MFT", "expect": ["a"]}, "expect has 1 answers for 2 inputs"),
        ({"kind": "INV"}, "it is not said how the inputs change"),
        ({"kind": "INV", "perturb": ["x"]}, "there are 1 changed inputs for 2 inputs"),
        ({"kind": "DIR", "perturb": str.upper, "expect": "up"}, "expect is 'up'"),
        ({"kind": "DIR", "perturb": str.upper, "expect": "increase"}, "has no direction"),
        ({"kind": "MFT", "inputs": [], "expect": 1}, "inputs is empty"),
        ({"kind": "MFT", "inputs": "good", "expect": 1}, "inputs is str"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(call, said):
    options = {"inputs": ["good", "bad"], **call}
    with pytest.raises(UsageError, match=said):
        judge(options.pop("kind"), sentiment, options.pop("inputs"), **options)


def test_one_answer_an_input_is_asked_for():
    with pytest.raises(UsageError, match="predict gives 1 answers to 2 inputs"):
        judge("MFT", lambda texts: ["positive"], ["a", "b"], "positive")
    with pytest.raises(UsageError, match="there is no model to ask"):
        predictor(None, None)
