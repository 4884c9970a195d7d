"""Healthy programs that look like bugs: no rule may report an error on any of them."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

from torchproof import Trainee


ROWS = zoo.ROWS


def trained_with(loss_of, model=None, batch=None, optimizer=None, **options):
    """Make a trainee whose step is the usual one around this loss."""
    model = model or zoo.mlp()
    optimizer = optimizer or torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4) if batch is None else batch, step, **options)


def label_smoothing():
    return trained_with(lambda m, b: F.cross_entropy(m(b["x"]), b["y"], label_smoothing=0.1))


def log_softmax_before_cross_entropy():
    return trained_with(lambda m, b: F.cross_entropy(m(b["x"]).log_softmax(1), b["y"]))


def focal_loss_through_nll():
    def loss(model, batch):
        logs = model(batch["x"]).log_softmax(1)
        return F.nll_loss((1 - logs.exp()) ** 2 * logs, batch["y"])

    return trained_with(loss)


def smoothed_logarithm_of_probabilities():
    return trained_with(lambda m, b: F.nll_loss((m(b["x"]).softmax(1) + 1e-6).log(), b["y"]))


def soft_labels():
    def loss(model, batch):
        soft = F.one_hot(batch["y"], 3) * 0.7 + 0.1
        return F.cross_entropy(model(batch["x"]), soft)

    return trained_with(loss)


def temperature_distillation():
    teacher = zoo.mlp().requires_grad_(requires_grad=False).eval()

    def loss(model, batch):
        goal = F.softmax(teacher(batch["x"]) / 4, -1)
        logs = F.log_softmax(model(batch["x"]) / 4, -1)
        return 16 * F.kl_div(logs, goal, reduction="batchmean")

    return trained_with(loss)


def kl_between_logarithms():
    def loss(model, batch):
        first, second = (model(batch["x"]).log_softmax(1) for _ in range(2))
        consistent = F.kl_div(first, second, log_target=True, reduction="batchmean")
        return F.nll_loss(first, batch["y"]) + consistent

    return trained_with(loss)


def symmetric_contrastive_loss_over_both_axes():
    def loss(model, batch):
        near = model(batch["x"] + 0.1 * torch.randn_like(batch["x"]))
        scores = F.normalize(model(batch["x"]), dim=1) @ F.normalize(near, dim=1).T
        order = torch.arange(len(scores))
        rows, columns = scores.log_softmax(1), scores.log_softmax(0)
        return F.nll_loss(rows, order) + F.nll_loss(columns, order)

    return trained_with(loss, zoo.mlp(4, 8), {"x": torch.randn(ROWS, 4)}, target=None)


def policy_gradient_that_maximises():
    model = zoo.mlp(4, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, maximize=True)

    def step(batch):
        optimizer.zero_grad()
        policy = torch.distributions.Categorical(logits=model(batch["x"]))
        action = policy.sample()
        gain = (policy.log_prob(action) * -batch["y"].abs()).mean()
        gain.backward()
        optimizer.step()
        return gain

    return Trainee(model, zoo.numbers(4), step)


def q_learning_with_a_target_network():
    model, target = zoo.mlp(4, 2), zoo.mlp(4, 2).eval()
    target.load_state_dict(model.state_dict())
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)

    def step(batch):
        optimizer.zero_grad()
        value = model(batch["x"]).gather(1, batch["action"]).squeeze(1)
        with torch.no_grad():
            goal = batch["y"] + 0.9 * target(batch["x"]).max(1).values
        loss = F.smooth_l1_loss(value, goal)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 100)
        optimizer.step()
        return loss

    batch = {**zoo.numbers(4), "action": torch.randint(0, 2, (ROWS, 1))}
    return Trainee({"model": model, "target": target}, batch, step)


def picking_by_nll():
    def loss(model, batch):
        picked = -F.nll_loss(model(batch["x"]), batch["y"], reduction="none")
        return F.mse_loss(picked, torch.ones(ROWS))

    return trained_with(loss)


def scaler_that_has_to_find_its_scale():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    scaler = torch.amp.GradScaler("cpu", init_scale=1e38, backoff_factor=1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = 100 * F.cross_entropy(model(batch["x"]), batch["y"])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        return loss

    return Trainee(model, zoo.classes(4), step, scheduler=scheduler)


def gradient_norm_logged_behind_the_step():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
        return loss

    return Trainee(model, zoo.classes(4), step)


def clipping_each_part_of_an_accumulation():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        for part in (slice(0, 3), slice(3, 6)):
            loss = F.cross_entropy(model(batch["x"][part]), batch["y"][part]) / 2
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4), step)


def update_at_the_start_of_the_next_call():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.step()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        return loss

    return Trainee(model, zoo.classes(4), step)


def rate_set_by_hand():
    model = zoo.mlp()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    calls = []

    def step(batch):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(len(calls) / 2, 1.0)
        calls.append(None)
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return Trainee(model, zoo.classes(4), step)


class Rezero(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.head(x + self.share * self.body(x).relu())


def rezero():
    return zoo.classifier(Rezero(), zoo.classes(4))


def zero_initialised_head_with_absent_classes():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(model.parameters(), 0.1))


def adapter_that_starts_at_zero():
    model = nn.Sequential(zoo.Lora(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 3))
    return zoo.classifier(
        model,
        zoo.classes(4),
        torch.optim.SGD([each for each in model.parameters() if each.requires_grad], 0.1),
    )


def bias_before_batch_norm():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(model.parameters(), 1e-2))


def all_in_bfloat16():
    model = zoo.mlp().to(torch.bfloat16)
    batch = zoo.classes(4)
    batch["x"] = batch["x"].to(torch.bfloat16)
    return zoo.classifier(model, batch, torch.optim.SGD(model.parameters(), 0.5))


def one_layer_at_several_depths():
    block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    return zoo.classifier(nn.Sequential(block, block, block, nn.Linear(4, 3)), zoo.classes(4))


def frozen_backbone_in_eval_mode():
    backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU()).requires_grad_(
        requires_grad=False
    )
    model = nn.Sequential(backbone, nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model[2].parameters(), 0.1)

    def step(batch):
        model.train()
        backbone.eval()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4), step, frozen="0.*")


def momentum_encoder_with_batch_norm():
    student = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    teacher = copy.deepcopy(student).requires_grad_(requires_grad=False)
    optimizer = torch.optim.SGD(student.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.mul_(0.99).add_(new, alpha=0.01)
            keys = F.normalize(teacher(batch["x"]), dim=1)
        queries = F.normalize(student(batch["x"]), dim=1)
        loss = F.cross_entropy(queries @ keys.T / 0.1, torch.arange(ROWS))
        loss.backward()
        optimizer.step()
        return loss

    models = {"student": student, "teacher": teacher}
    return Trainee(models, {"x": torch.randn(ROWS, 4)}, step, target=None)


def averaged_weights_for_predicting():
    model = zoo.mlp()
    average = {name: each.clone() for name, each in model.state_dict().items()}
    inner = zoo.classifier(model, zoo.classes(4))

    def step(batch):
        loss = inner.step(batch)
        for name, each in model.state_dict().items():
            average[name].lerp_(each, 0.1)
        return loss

    def predict(batch):
        kept = copy.deepcopy(model.state_dict())
        model.load_state_dict(average)
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"])
        model.load_state_dict(kept)
        model.train()
        return logits

    return Trainee(model, inner.batch, step, predict=predict)


def random_features_in_a_buffer():
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("waves", torch.randn(4, 8))
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            phase = x @ self.waves
            return self.head(torch.cat([phase.sin(), phase.cos()], 1))

    return zoo.classifier(Fourier(), zoo.classes(4))


def reader_with_a_hidden_state():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head, self.state = nn.GRUCell(4, 8), nn.Linear(8, 3), None

        def reset(self):
            self.state = None

        def forward(self, x):
            before = self.state if self.state is None else self.state.detach()
            self.state = self.cell(x, before)
            return self.head(self.state)

    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    def predict(batch):
        kept = model.state
        model.eval()
        model.reset()
        with torch.no_grad():
            logits = model(batch["x"])
        model.state = kept
        model.train()
        return logits

    return Trainee(model, zoo.classes(4), step, predict=predict)


def labels_of_padding_set_in_place():
    def loss(model, batch):
        batch["y"][batch["y"] == 2] = -100
        return F.cross_entropy(model(batch["x"]), batch["y"])

    batch = zoo.classes(4)
    batch["y"][0] = 1
    return trained_with(loss, batch=batch)


def least_squares_gan():
    generator, critic = zoo.mlp(2, 4), zoo.mlp(4, 1)
    for_generator = torch.optim.Adam(generator.parameters(), 1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), 1e-3)

    def step(batch):
        fake = generator(torch.randn(ROWS, 2))
        for_critic.zero_grad()
        real_loss = F.mse_loss(critic(batch["x"]), torch.ones(ROWS, 1))
        (real_loss + F.mse_loss(critic(fake.detach()), torch.zeros(ROWS, 1))).backward()
        for_critic.step()
        for_generator.zero_grad()
        loss = -F.mse_loss(critic(fake), torch.zeros(ROWS, 1))
        loss.backward()
        for_generator.step()
        return real_loss

    models = {"generator": generator, "critic": critic}
    return Trainee(models, {"x": torch.randn(ROWS, 4)}, step, target=None)


def weights_of_a_critic_clipped():
    critic = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.RMSprop(critic.parameters(), 5e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = critic(torch.randn(ROWS, 4)).mean() - critic(batch["x"]).mean()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for each in critic.parameters():
                each.clamp_(-0.01, 0.01)
        return loss

    return Trainee(critic, {"x": torch.randn(ROWS, 4)}, step, target=None)


class Lookahead(torch.optim.Optimizer):
    """Slow and fast weights; what it counts is in its groups, which are saved."""

    def __init__(self, params, base, every=2):
        super().__init__(params, {"every": every, "count": 0})
        self.base = base(self.param_groups)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def step(self, closure=None):
        self.base.step()
        for group in self.param_groups:
            group["count"] += 1
            for each in group["params"]:
                slow = self.state[each].setdefault("slow", each.clone())
                if group["count"] % group["every"] == 0:
                    slow.lerp_(each, 0.5)
                    each.copy_(slow)


def lookahead():
    model = zoo.mlp()
    optimizer = Lookahead(model.parameters(), lambda groups: torch.optim.SGD(groups, 0.1))
    return zoo.classifier(model, zoo.classes(4), optimizer)


def model_without_dropout_in_eval_mode():
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)).eval()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4), step)


def fixed_sample_to_look_at():
    model = zoo.mlp()
    inner = zoo.classifier(model, zoo.classes(4))

    def step(batch):
        loss = inner.step(batch)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            model(torch.randn(2, 4))
        return loss

    return Trainee(model, inner.batch, step)


def adversarial_examples_on_the_way():
    def loss(model, batch):
        x = batch["x"].clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model(x), batch["y"]), x)
        return F.cross_entropy(model(batch["x"] + 0.01 * slope.sign()), batch["y"])

    return trained_with(loss, nn.Sequential(nn.Linear(4, 3)))


HEALTHY = [
    label_smoothing,
    log_softmax_before_cross_entropy,
    focal_loss_through_nll,
    smoothed_logarithm_of_probabilities,
    soft_labels,
    temperature_distillation,
    kl_between_logarithms,
    symmetric_contrastive_loss_over_both_axes,
    policy_gradient_that_maximises,
    q_learning_with_a_target_network,
    picking_by_nll,
    scaler_that_has_to_find_its_scale,
    gradient_norm_logged_behind_the_step,
    clipping_each_part_of_an_accumulation,
    update_at_the_start_of_the_next_call,
    rate_set_by_hand,
    rezero,
    zero_initialised_head_with_absent_classes,
    adapter_that_starts_at_zero,
    bias_before_batch_norm,
    all_in_bfloat16,
    one_layer_at_several_depths,
    frozen_backbone_in_eval_mode,
    momentum_encoder_with_batch_norm,
    averaged_weights_for_predicting,
    random_features_in_a_buffer,
    reader_with_a_hidden_state,
    labels_of_padding_set_in_place,
    least_squares_gan,
    weights_of_a_critic_clipped,
    lookahead,
    model_without_dropout_in_eval_mode,
    fixed_sample_to_look_at,
    adversarial_examples_on_the_way,
]
