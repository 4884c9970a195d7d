"""The sentences under the table: because of what a number moved, and what deciding it has cost."""

import random

from tests.samples import BASE, CPU, ENVIRONMENT, HEAD, metric, record

from torchproof.report import Context, comment, compose, summary, terminal
from torchproof.verdict import judge


def run(value, seed=0, **kinds):
    fingerprint = {"environment": ENVIRONMENT, "hardware": CPU, **kinds}
    return record(metric(value=value), seed=seed, fingerprint=fingerprint)


def report(head, base, *, further=(), stored=(), **context):
    judged = judge(head, base, further=further, stored=stored)
    made = Context(head_sha=HEAD, base=BASE, base_why="tip of main", **context)
    return compose(judged, [*head, *further], base, made)


def main():
    source = random.Random(1)
    return [run(source.gauss(0.93, 0.01), seed) for seed in range(20)]


def worse(**fields):
    further = [run(0.90, seed, **fields.pop("kinds", {})) for seed in (1, 2)]
    return report([run(0.90)], [run(0.93)], stored=main(), further=further, **fields)


def test_a_worse_metric_names_what_differs_and_what_does_not():
    text = comment(worse(changed_files=("train.py", "README.md")))
    assert (
        "What differs from the baseline, likeliest cause first: code (`train.py` and `README.md`); "
        "the same are environment and hardware." in text
    )


def test_of_many_files_the_first_are_named():
    text = comment(worse(changed_files=tuple(f"net{n}.py" for n in range(9))))
    assert "code (`net0.py`, `net1.py`, `net2.py` and 6 more)" in text


def test_tests_and_texts_are_called_that():
    text = comment(worse(changed_files=("README.md",)))
    assert "code (`README.md`, tests and texts only)" in text


def test_where_nothing_differs_the_machine_is_left():
    assert "Nothing that is recorded differs" in comment(worse(changed_files=()))
    assert "differs" not in comment(worse(changed_files=None))


def test_the_trajectories_say_whether_code_reaches_training():
    def followed(digest):
        return record(tier="unit-fingerprint", fingerprint={"training": {"test": digest}})

    for digest, words in (("a", "does not reach training"), ("b", "reaches training")):
        judged = judge([run(0.8)], [run(0.93)], stored=main(), further=[run(0.8, 1)])
        context = Context(
            head_sha=HEAD,
            base=BASE,
            changed_files=("train.py",),
            fingerprints=(followed(digest),),
        )
        made = compose(judged, [run(0.8)], [run(0.93), followed("a")], context)
        assert f"code (`train.py`, {words})" in comment(made)


def test_a_change_that_moved_no_number_asks_for_no_cause():
    same = report([run(0.93)], [run(0.93)], changed_files=("train.py",))
    assert "differs" not in comment(same)


def test_what_deciding_has_cost_is_said_on_every_surface():
    made = worse(spent={"unit": 2})
    cost = "decided after 3 runs; 2 of them were spent because"
    for text in (comment(made), summary(made), terminal(made, colour=False, width=300)):
        assert cost in text


def test_what_stays_undecided_says_how_to_go_on():
    made = report(
        [run(0.923)], [run(0.93)], stored=main(), further=[run(0.921, 1)], spent={"unit": 1}
    )
    text = comment(made)
    assert "`unit` still undecided after 2 runs; 1 of them was spent because" in text
    assert "Raise max-seeds to let it run on." in text


def test_a_path_cannot_write_into_the_comment():
    text = comment(worse(changed_files=("`<img src=x>`@me.py",)))
    assert "`` `<img src=x>`@me.py ``" in text


def test_the_commands_repeat_further_runs_only_where_something_is_worse():
    fine = report([run(0.93)], [run(0.93)], further=[run(0.9, 1)], spent={"unit": 1})
    assert len(fine.commands) == 2
    assert len(worse().commands) == 4
