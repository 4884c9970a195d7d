"""Bugs of the class `batch-independence`."""

import pairs
import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "batch-independence"


class Model(nn.Module):
    """A small network whose forward pass is given."""

    def __init__(self, body):
        super().__init__()
        self.first, self.head, self.body = nn.Linear(4, 8), nn.Linear(8, 3), body

    def forward(self, x):
        return self.head(self.body(self.first(x)))


def test_view_instead_of_transpose(caught):
    def mix(z):
        return z.view(z.shape[1], z.shape[0], 8).transpose(0, 1).mean(1)  # here

    finding, line = caught(RULE, lambda: zoo.classifier(Model(mix), zoo.classes(5, 4)))
    assert line.endswith("# here")
    assert finding.evidence["largest change"] > 1e-3
    assert "for the first row" in finding.message


def test_batch_first_forgotten(caught):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.head = nn.GRU(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.gru(x)[0][:, -1])

    finding, _ = caught(RULE, lambda: zoo.classifier(Reader(), zoo.classes(5, 4)))
    assert finding.evidence["row"] == "last"  # the first row of a causal scan sees no other


def test_statistics_of_the_batch_in_a_norm_of_ones_own(caught):
    caught(RULE, lambda: zoo.classifier(Model(lambda z: z - z.mean(0)), zoo.classes(4)))


def test_scores_stretched_between_the_least_and_the_largest(caught):
    def stretched(model, x):
        scores = model.eval()(x)[:, 0].detach()
        return (scores - scores.min()) / (scores.max() - scores.min())

    def build():
        model = zoo.mlp(4, 3)
        return zoo.classifier(model, zoo.classes(4), predict=lambda b: stretched(model, b["x"]))

    caught(RULE, build)


def test_batch_norm_without_running_statistics(caught):
    norm = nn.BatchNorm1d(8, affine=False, track_running_stats=False)
    caught(RULE, lambda: zoo.classifier(Model(norm), zoo.classes(4)))


def test_a_neighbours_row(caught):
    caught(RULE, lambda: zoo.classifier(Model(lambda z: z + z.roll(1, 0)), zoo.classes(4)))


def test_predicting_in_training_mode(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

        def predict(batch):
            return model(batch["x"]).detach()  # here

        return zoo.classifier(model, zoo.classes(4), predict=predict)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["first seen in"] == "batch_norm"


def test_rounding_that_other_rows_cause_is_no_dependency():
    def cancel(z):
        return (z + z.detach().sum()) - z.detach().sum()

    proof = torchproof.prove(lambda: zoo.classifier(Model(cancel), zoo.classes(4)), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


def until_converged(change):
    """Iterate a contraction for all rows until none of them moves."""

    def solve(z):
        found = torch.zeros_like(z)
        for _ in range(60):
            new = change(found) / 3 + z
            if (new - found).norm() < 1e-5:
                return new
            found = new
        return found

    return lambda: zoo.classifier(Model(solve), zoo.classes(4))


def test_a_solver_that_stops_when_all_rows_have_converged_is_skipped():
    proof = torchproof.prove(until_converged(torch.tanh), rules=[RULE])
    assert not proof.findings
    assert "how often a loop runs" in proof.skipped[RULE]


def test_rows_that_meet_within_a_solver(caught):
    caught(RULE, until_converged(lambda found: torch.tanh(found - found.mean(0))))


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ({"x": torch.ones(6, 4), "edges": torch.zeros(2, 9)}, "do not share a batch dimension"),
        ({"x": torch.ones(1, 4), "y": torch.zeros(1).long()}, "one row"),
    ],
)
def test_what_cannot_be_judged_is_skipped(batch, why):
    def build():
        model = nn.Linear(4, 1)

        def step(batch):
            return model(batch["x"]).sum()

        return torchproof.Trainee(model, batch, step, predict=lambda batch: model(batch["x"]))

    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


class Graph(nn.Module):
    """Each node looks at its neighbours, which a matrix between the nodes names."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x, edges):
        return edges @ self.head(x)


@pytest.mark.parametrize("predict", [False, True])
def test_a_matrix_between_rows_that_is_used_is_skipped(predict):
    def build():
        model = Graph()
        batch = {**zoo.classes(4), "edges": torch.rand(6, 6)}

        def step(batch):
            return nn.functional.cross_entropy(model(batch["x"], batch["edges"]), batch["y"])

        def answer(batch):
            return model(batch["x"], batch["edges"]).detach()

        return torchproof.Trainee(model, batch, step, predict=answer if predict else None)

    assert "matrix between rows" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


class KnownGraph(nn.Module):
    """Holds the matrix between the nodes, or their edges, in one way or another."""

    def __init__(self, how):
        super().__init__()
        self.head, self.how = nn.Linear(4, 3), how
        near = torch.rand(6, 6)
        if how == "buffer":
            self.register_buffer("near", near)
        elif how == "attribute":
            self.near = near
        else:
            self.edges = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])

    def forward(self, x):
        z = self.head(x)
        if self.how == "edges":
            return z.index_add(0, self.edges[1], z[self.edges[0]])
        return self.near @ z


@pytest.mark.parametrize("how", ["buffer", "attribute", "edges"])
def test_a_graph_that_the_model_holds_is_skipped(how):
    def loss_of(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    proof = torchproof.prove(
        lambda: pairs.learner(KnownGraph(how), zoo.classes(4), loss_of), rules=[RULE]
    )
    assert "matrix between rows" in proof.skipped[RULE]


def test_a_graph_among_the_variables_of_the_code_is_skipped():
    def build():
        edges, head = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]), nn.Linear(4, 3)

        def logits(batch):
            z = head(batch["x"])
            return z.index_add(0, edges[1], z[edges[0]])

        def loss_of(_, batch):
            return nn.functional.cross_entropy(logits(batch), batch["y"])

        return pairs.learner(head, zoo.classes(4), loss_of, predict=lambda b: logits(b).detach())

    assert "matrix between rows" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_a_square_parameter_is_no_graph(caught):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 6)

        def forward(self, x):
            z = self.second(self.first(x))
            return z - z.mean(0)

    def loss_of(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    caught(RULE, lambda: pairs.learner(Mixed(), zoo.classes(4), loss_of))


def episode(score):
    """Queries, and as many examples of each class with their labels."""

    def build():
        net = nn.Linear(5, 4)

        def logits(batch):
            return score(net, batch)

        def loss_of(_, batch):
            return nn.functional.cross_entropy(logits(batch), batch["y"])

        classes = torch.tensor([0, 1, 2, 0, 1, 2])
        batch = {"shown": torch.randn(6, 5), "of": classes, "x": torch.randn(6, 5), "y": classes}
        return pairs.learner(net, batch, loss_of, predict=lambda b: logits(b).detach())

    return build


def by_prototype(net, batch):
    kinds = nn.functional.one_hot(batch["of"], 3).to(batch["x"])
    means = kinds.T @ net(batch["shown"]) / kinds.sum(0)[:, None]
    return -torch.cdist(net(batch["x"]), means)


def by_prototype_of_centred_queries(net, batch):
    return by_prototype(net, {**batch, "x": batch["x"] - batch["x"].mean(0)})


def by_the_mean_of_what_is_shown(net, batch):
    return net(batch["x"]) + net(batch["shown"]).mean(0)


def test_examples_for_all_rows_are_a_context():
    assert "examples" in torchproof.prove(episode(by_prototype), rules=[RULE]).skipped[RULE]


@pytest.mark.parametrize("score", [by_prototype_of_centred_queries, by_the_mean_of_what_is_shown])
def test_rows_mixed_beside_examples(caught, score):
    caught(RULE, episode(score))


def named_class(read, name):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

        def loss_of(model, batch):
            return nn.functional.cross_entropy(model(read(batch["x"])), batch["y"])

        def predict(batch):
            return name(model(read(batch["x"])).detach())

        return pairs.learner(model, zoo.classes(4), loss_of, predict=predict)

    return build


NAMES = [lambda z: z.argmax(1), lambda z: z > 0, lambda z: z.sigmoid() > 0.5]


@pytest.mark.parametrize("name", NAMES)
def test_rows_mixed_by_so_little_that_the_class_stays(caught, name):
    caught(RULE, named_class(lambda x: x + 1e-3 * x.mean(0), name))


@pytest.mark.parametrize("name", NAMES)
def test_classes_of_rows_alone_are_silent(name):
    proof = torchproof.prove(named_class(lambda x: x, name), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


def square_labels(pick):
    """As many rows as characters in a text, which the prediction does not read."""

    def build():
        model = nn.GRU(4, 6, batch_first=True)
        batch = {"x": torch.randn(4, 5, 4), "y": torch.randint(0, 6, (4, 4)), "n": torch.ones(4)}

        def step(batch):
            return pick(model(batch["x"])[0])[:, :4].transpose(1, 2).exp().sum()

        return torchproof.Trainee(model, batch, step, predict=lambda b: pick(model(b["x"])[0]).data)

    return build


def test_rows_mixed_beside_labels_that_look_like_a_matrix(caught):
    caught(RULE, square_labels(lambda z: z.reshape(5, 4, 6).transpose(0, 1)))


def test_labels_that_look_like_a_matrix_are_no_reason_to_skip():
    proof = torchproof.prove(square_labels(lambda z: z), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


class Similarities(nn.Module):
    """Says how alike the rows of two inputs are, each to each."""

    def __init__(self, read):
        super().__init__()
        self.first, self.second, self.read = nn.Linear(4, 8), nn.Linear(4, 8), read

    def forward(self, x):
        return self.read(self.first(x)) @ self.second(x).T


def contrastive(read, *, shares=None):
    def loss_of(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), torch.arange(6))

    def build():
        model = Similarities(read)

        def predict(batch):
            with torch.no_grad():
                return model(batch["x"]).softmax(shares)

        given = {} if shares is None else {"predict": predict}
        return pairs.learner(model, zoo.classes(4), loss_of, **given)

    return build


@pytest.mark.parametrize("axis", [0, 1])
def test_shares_of_the_rows_that_are_alike_are_skipped(axis):
    proof = torchproof.prove(contrastive(lambda z: z, shares=axis), rules=[RULE])
    assert "matrix between rows" in proof.skipped[RULE]


@pytest.mark.parametrize("axis", [0, 1])
def test_shares_of_rows_that_were_mixed(caught, axis):
    caught(RULE, contrastive(lambda z: z / z.std(0), shares=axis))


def test_a_softmax_over_the_rows_with_as_many_classes_as_rows(caught):
    def loss_of(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    def build():
        model = nn.Linear(4, 6)

        def predict(batch):
            with torch.no_grad():
                return model(batch["x"]).softmax(0)

        return pairs.learner(model, zoo.classes(4), loss_of, predict=predict)

    caught(RULE, build)


def test_similarities_between_rows_are_skipped():
    proof = torchproof.prove(contrastive(lambda z: z), rules=[RULE])
    assert "matrix between rows" in proof.skipped[RULE]


def test_similarities_of_rows_that_were_mixed(caught):
    caught(RULE, contrastive(lambda z: z - z.mean(0)))


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
