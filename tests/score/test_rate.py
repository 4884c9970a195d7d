"""Points are those of the paper: half by hand, one automatically, the lowest section counts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.score import CRITERIA, SECTIONS, Evidence, rate


KINDS = sorted({kind for criterion in CRITERIA for kind in criterion.evidence})
EVERYTHING = [Evidence(kind, "here") for kind in [*KINDS, "workflow"]]
evidence = st.lists(st.sampled_from([*KINDS, "workflow"]).map(lambda kind: Evidence(kind, "here")))
documents = st.sets(st.sampled_from([each.id for each in CRITERIA])).map(
    lambda ids: dict.fromkeys(ids, "doc.md")
)


def points(score):
    return {each.criterion.id: each.points for each in score.rated}


def test_there_are_seven_criteria_in_each_of_four_sections():
    assert Counter(each.section for each in CRITERIA) == dict.fromkeys(SECTIONS, 7)


def test_twelve_can_be_settled_nine_in_part_and_seven_only_by_people():
    kinds = Counter(("whole" if c.whole else "part") if c.evidence else "people" for c in CRITERIA)
    assert kinds == {"whole": 12, "part": 9, "people": 7}


def test_an_empty_repository_has_nothing():
    score = rate([], {})
    assert score.points == 0
    assert score.reading == "a research project rather than a product"
    assert len(score.raises) == len(CRITERIA)


def test_the_same_test_is_worth_half_without_a_workflow():
    proof = Evidence("proofs", "tests/test_it.py:3")
    assert points(rate([proof], {}))["infrastructure-1"] == 0.5
    both = rate([proof, Evidence("workflow", "ci.yml")], {})
    assert points(both)["infrastructure-1"] == 1.0
    assert both.rated[14].places == ("tests/test_it.py:3",)


def test_what_is_seen_in_part_needs_a_document_for_the_rest():
    found = [Evidence("dataset", "here"), Evidence("workflow", "ci.yml")]
    assert points(rate(found, {}))["data-1"] == 0.5
    assert points(rate(found, {"data-1": "schema.md"}))["data-1"] == 1.0


def test_a_document_alone_is_half_a_point():
    assert points(rate([], {"data-5": "privacy.md"}))["data-5"] == 0.5


def test_the_lowest_section_is_the_score_and_says_what_would_raise_it():
    score = rate(EVERYTHING, {})
    assert score.sections == {
        "data": 2.0,
        "model": 4.0,
        "infrastructure": 5.5,
        "monitoring": 5.0,
    }
    assert score.points == 2.0
    assert {each.criterion.section for each in score.raises} == {"data"}
    assert "data-7" not in {each.criterion.id for each in score.raises}


@given(evidence, documents, st.sampled_from(EVERYTHING))
def test_more_evidence_never_costs_points(found, declared, more):
    before, after = rate(found, declared), rate([*found, more], declared)
    assert all(after.sections[name] >= before.sections[name] for name in SECTIONS)
    assert before.points <= after.points <= 7


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.id)
def test_every_criterion_says_what_would_raise_it(criterion):
    assert criterion.remedy
