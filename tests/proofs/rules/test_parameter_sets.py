"""Bugs of the class `parameter-sets`; the marked line is where it shows."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "parameter-sets"


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def test_an_optimizer_for_the_head_only(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model[2].parameters())  # here
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "at 0.weight, 0.bias, but no optimizer" in finding.message
    assert "frozen=('0.weight',)" in finding.remedy


def test_a_layer_replaced_after_the_optimizer_was_built(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model.parameters())  # here
        model[2] = nn.Linear(8, 3)
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["of these not the model's"] == 2
    assert "after the last change to the model" in finding.remedy


def test_an_optimizer_of_another_copy(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(copy.deepcopy(model).parameters())
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, _ = caught(RULE, build)
    assert finding.evidence["parameters"] == 4


def test_an_optimizer_of_the_averaged_copy_alone(caught):
    """Both are models of the trainee; nothing that the optimizer holds ever gets a gradient."""

    def build():
        model = net()
        average = copy.deepcopy(model).requires_grad_(requires_grad=False)
        optimizer = torch.optim.Adam(average.parameters())  # here
        trainee = zoo.classifier(model, zoo.classes(4), optimizer)
        return torchproof.Trainee({"model": model, "average": average}, trainee.batch, trainee.step)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def test_biases_dropped_by_a_filter(caught):
    def build():
        model = net()
        chosen = [each for name, each in model.named_parameters() if "weight" in name]
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(chosen))

    finding, _ = caught(RULE, build)
    assert " 0.bias, 2.bias," in finding.message


def test_layers_in_a_python_list(caught):
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x).relu()  # here
            return self.head(x)

    finding, line = caught(RULE, lambda: zoo.classifier(Stack(), zoo.classes(4)))
    assert line.endswith("# here")
    assert "layers[0].weight" in finding.message
    assert finding.remedy == "self.layers = torch.nn.ModuleList(...)  # instead of a list"


def test_a_tensor_that_is_no_parameter(caught):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(4, requires_grad=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x * self.scale)  # here

    finding, line = caught(RULE, lambda: zoo.classifier(Scaled(), zoo.classes(4)))
    assert line.endswith("# here")
    assert finding.remedy == "self.scale = torch.nn.Parameter(...)"


class Cut(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.body, self.head, self.between = nn.Linear(4, 8), nn.Linear(8, 3), between

    def forward(self, x):
        z = self.body(x)  # here
        return self.head(self.between(z))


@pytest.mark.parametrize(
    "between",
    [
        lambda z: z.detach(),
        lambda z: z.data,
        lambda z: torch.tensor(z.tolist()),
        lambda z: F.one_hot(z.argmax(1), 8).float(),
    ],
    ids=["detach", "data", "list", "argmax"],
)
def test_a_path_that_is_cut(caught, between):
    finding, line = caught(RULE, lambda: zoo.classifier(Cut(between), zoo.classes(4)))
    assert line.endswith("# here")
    assert "depends on body.weight, body.bias, but no gradient arrives" in finding.message


def test_features_without_gradient(caught):
    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            with torch.no_grad():
                z = self.body(x).relu()
            return self.head(z)

    caught(RULE, lambda: zoo.classifier(Features(), zoo.classes(4)))


def test_backward_forgotten(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            optimizer.step()  # here
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence == {"optimizer steps": 3, "backward passes": 0}


class Extra(nn.Module):
    """A branch beside the model; ``use`` says what becomes of it."""

    def __init__(self, use):
        super().__init__()
        self.body, self.extra, self.use = nn.Linear(4, 3), nn.Linear(4, 3), use

    def forward(self, x):
        return self.use(self, self.body(x), x)


class Output(dict):
    """Reads like the output of a library's model."""

    __getattr__ = dict.__getitem__


def beside(use):
    return lambda: zoo.classifier(Extra(use), zoo.classes(4))


def test_a_result_that_is_dropped(caught):
    def use(model, logits, x):
        late = model.extra(x)  # here
        late = late.relu()
        return logits

    finding, line = caught(RULE, beside(use))
    assert "extra.weight, extra.bias is dropped" in finding.message
    assert line.endswith("# here")


def test_a_recurrent_layer_that_is_dropped(caught):
    def build():
        model = Extra(lambda model, logits, x: (model.extra(x[None]), logits)[1])
        model.extra = nn.LSTM(4, 4)
        return zoo.classifier(model, zoo.classes(4))

    caught(RULE, build)


def kept(model, logits, x):
    model.looked_at = model.extra(x)
    return logits


def logged(model, logits, x):
    model.size = model.extra(x).norm().item()
    return logits


def used_now_and_then(model, logits, x):
    return logits


def averaged(model, logits, x):
    model.body.mean = model.extra.weight.detach().mean(0)
    return logits


def returned(model, logits, x):
    return Output(logits=logits, pooled=model.extra(x).tanh())


def as_large_as(model, logits, x):
    """What a branch gives for a batch that is too small for it."""
    return logits + model.extra(x).new_zeros(len(x), 1)


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return None


def given_to_a_function_of_ones_own(model, logits, x):
    return logits + 0 * Rounded.apply(model.extra(x)).detach()


@pytest.mark.parametrize(
    "use",
    [kept, logged, used_now_and_then, averaged, as_large_as, given_to_a_function_of_ones_own],
)
def test_a_branch_that_may_be_looked_at_is_a_warning(use):
    (finding,) = torchproof.prove(beside(use), rules=[RULE]).findings
    assert finding.severity == "warning"
    assert finding.message.startswith(
        "No gradient arrives at extra.weight, extra.bias; the loss does"
    )


class Streams(nn.Module):
    """Two streams that look at each other, layer by layer."""

    def __init__(self, chained):
        super().__init__()
        self.nodes = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.edges = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.head, self.chained = nn.Linear(4, 3), chained

    def forward(self, x):
        edge = x
        for to_node, to_edge in zip(self.nodes, self.edges):
            x = to_node(x + edge).relu()
            late = to_edge(edge + x).relu()
            edge = late if self.chained else edge
        return self.head(x)


class Anew(nn.Module):
    """Makes a layer at each call."""

    def __init__(self, layer):
        super().__init__()
        self.body, self.head, self.layer = nn.Linear(4, 8), nn.Linear(8, 3), layer

    def forward(self, x):
        return self.head(self.layer()(self.body(x)))  # here


def test_a_layer_made_anew_at_each_call(caught):
    finding, line = caught(
        RULE, lambda: zoo.classifier(Anew(lambda: nn.Linear(8, 8)), zoo.classes(4))
    )
    assert line.endswith("# here")
    assert "__init__" in finding.remedy


@pytest.mark.parametrize("layer", [lambda: nn.LayerNorm(8), nn.Tanh, lambda: nn.Dropout(0.1)])
def test_a_layer_made_anew_that_is_always_the_same_is_no_error(layer):
    assert torchproof.prove(
        lambda: zoo.classifier(Anew(layer), zoo.classes(4)), rules=[RULE]
    ).passed


class Coded(nn.Module):
    """Goes through a code of whole numbers."""

    def __init__(self, code):
        super().__init__()
        self.encode, self.decode, self.code = nn.Linear(4, 8), nn.Linear(8, 3), code

    def forward(self, x):
        return self.decode(self.code(self.encode(x)))


@pytest.mark.parametrize("code", [torch.round, torch.sign, lambda z: (4 * z).floor() / 4])
def test_a_step_function_on_the_only_way_to_the_loss(caught, code):
    finding, _ = caught(RULE, lambda: zoo.classifier(Coded(code), zoo.classes(4)))
    assert "encode.weight, encode.bias" in finding.message
    assert "detach" in finding.remedy


@pytest.mark.parametrize(
    "code", [lambda z: z + (z.round() - z).detach(), lambda z: z.round() + z, torch.relu]
)
def test_a_way_beside_the_step_function_is_silent(code):
    build = lambda: zoo.classifier(Coded(code), zoo.classes(4))  # noqa: E731 - as the others
    assert not torchproof.prove(build, rules=[RULE]).findings


class Routed(nn.Module):
    """Each row goes to the expert that the gate prefers; the others do not run."""

    def __init__(self, experts):
        super().__init__()
        self.gate, self.spare = nn.Linear(4, experts), nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(experts))

    def forward(self, x):
        shares, chosen = self.gate(x).softmax(1).max(1)
        logits = x.new_zeros(len(x), 3)
        for index in chosen.unique().tolist():
            rows = (chosen == index).nonzero().squeeze(1)
            logits = logits.index_add(0, rows, self.experts[index](x[rows]) * shares[rows, None])
        return logits


def test_experts_that_this_batch_does_not_ask_are_an_info():
    findings = torchproof.prove(
        lambda: zoo.classifier(Routed(12), zoo.classes(4)), rules=[RULE]
    ).findings
    assert {each.severity: "spare" in each.message for each in findings} == {
        "info": False,
        "warning": True,
    }


def test_the_last_layer_of_a_stream_that_ends_before_is_a_warning():
    (finding,) = torchproof.prove(
        lambda: zoo.classifier(Streams(chained=True), zoo.classes(4)), rules=[RULE]
    ).findings
    assert finding.severity == "warning"
    assert "edges.1.weight" in finding.message


def test_layers_of_which_none_is_passed_on(caught):
    finding, _ = caught(RULE, lambda: zoo.classifier(Streams(chained=False), zoo.classes(4)))
    assert "edges.0.weight" in finding.message


def test_a_pooled_output_that_the_model_leaves_alone_is_a_warning():
    def build():
        model = Extra(lambda model, logits, x: model.encoder(x).logits)
        model.encoder = Extra(returned)
        del model.extra
        return zoo.classifier(model, zoo.classes(4))

    findings = torchproof.prove(build, rules=[RULE]).findings
    assert findings
    assert all(each.severity == "warning" for each in findings if "extra" in each.message)


def test_a_pooled_output_that_the_step_leaves_alone_is_a_warning():
    def build():
        model = Extra(returned)
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]).logits, batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def test_cut_and_unused_are_told_apart(caught):
    class Both(Cut):
        def __init__(self):
            super().__init__(lambda z: z.detach())
            self.extra = nn.Linear(2, 2)

    finding, _ = caught(RULE, lambda: zoo.classifier(Both(), zoo.classes(4)))
    assert "depends on body.weight, body.bias, but" in finding.message


def test_a_frozen_part_given_to_no_optimizer_and_put_in_eval_mode_is_a_warning():
    def build():
        model = net()
        model[0].eval()
        optimizer = torch.optim.Adam(model[2].parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def test_training_by_hand_is_not_judged():
    def build():
        model = net()

        def step(batch):
            model.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            with torch.no_grad():
                for each in model.parameters():
                    each.sub_(0.1 * each.grad)
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    assert "no torch optimizer" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_have_no_error(build):
    findings = torchproof.prove(build, rules=[RULE]).findings
    assert all(each.severity != "error" for each in findings)
