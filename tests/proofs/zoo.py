"""Healthy training programs of many kinds: no rule may report an error on any of them."""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch import nn

from torchproof import Trainee


ROWS = 6


def classes(*shape, n=3):
    return {"x": torch.randn(ROWS, *shape), "y": torch.randint(0, n, (ROWS,))}


def numbers(*shape):
    return {"x": torch.randn(ROWS, *shape), "y": torch.randn(ROWS)}


def mlp(inputs=4, outputs=3):
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, outputs))


def classifier(model, batch, optimizer=None, **options):
    optimizer = optimizer or torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model=model, batch=batch, step=step, **options)


def plain_mlp():
    return classifier(mlp(), classes(4))


def batch_norm_cnn():
    convolutions = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    model = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return classifier(model, classes(1, 6, 6))


def tuple_batch_with_nested_inputs():
    class TwoViews(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, left, *, right):
            return self.head(left + right)

    model = TwoViews()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step(batch):
        (left, right), labels = batch
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(left, right=right), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    pair = (torch.randn(ROWS, 4), torch.randn(ROWS, 4))
    return Trainee(model=model, batch=(pair, torch.randint(0, 3, (ROWS,))), step=step)


def gan_with_two_optimizers():
    generator, critic = mlp(2, 4), mlp(4, 1)
    for_generator = torch.optim.Adam(generator.parameters(), 1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), 1e-3)

    def step(batch):
        critic.train()
        noise = torch.randn(len(batch["x"]), 2)
        for_critic.zero_grad()
        real, fake = critic(batch["x"]), critic(generator(noise).detach())
        (F.softplus(-real).mean() + F.softplus(fake).mean()).backward()
        for_critic.step()
        for_generator.zero_grad()
        loss = F.softplus(-critic(generator(noise))).mean()
        loss.backward()
        for_generator.step()
        return loss

    models = {"generator": generator, "critic": critic}
    batch = {"x": torch.randn(ROWS, 4)}
    return Trainee(
        models, batch, step, target=None, predict=lambda batch: critic.eval()(batch["x"])
    )


def gan_whose_generator_waits():
    generator, critic = mlp(2, 4), mlp(4, 1)
    for_generator = torch.optim.Adam(generator.parameters(), 1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), 1e-3)
    calls = []

    def step(batch):
        calls.append(None)
        noise = torch.randn(len(batch["x"]), 2)
        for_critic.zero_grad()
        loss = critic(generator(noise)).mean() - critic(batch["x"]).mean()
        loss.backward()
        for_critic.step()
        if len(calls) % 5 == 0:
            for_generator.zero_grad()
            (-critic(generator(noise)).mean()).backward()
            for_generator.step()
        return loss

    return Trainee((generator, critic), {"x": torch.randn(ROWS, 4)}, step, target=None)


def accumulation_inside_the_step():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        total = 0.0
        for part in (slice(0, 3), slice(3, 6)):
            loss = F.cross_entropy(model(batch["x"][part]), batch["y"][part]) / 2
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    return Trainee(model, classes(4), step)


def accumulation_across_calls():
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    calls = []

    def step(batch):
        calls.append(None)
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        (loss / 4).backward()
        if len(calls) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss

    return Trainee(model, classes(4), step)


def lbfgs_closure():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def step(batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
            loss.backward()
            return loss

        return optimizer.step(closure)

    return Trainee(model, numbers(4), step)


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimisation, as its public implementations do it."""

    def __init__(self, params, base, **options):
        super().__init__(params, options)
        self.base = base(self.param_groups, **options)

    @torch.no_grad()
    def climb(self):
        for group in self.param_groups:
            for each in group["params"]:
                self.state[each]["old"] = each.clone()
                each.add_(each.grad, alpha=0.05)
        self.zero_grad()

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for each in group["params"]:
                each.copy_(self.state[each]["old"])
        self.base.step()
        self.zero_grad()


def sharpness_aware_minimisation():
    model = mlp()
    optimizer = Sam(model.parameters(), torch.optim.SGD, lr=0.1)

    def step(batch):
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.climb()
        F.cross_entropy(model(batch["x"]), batch["y"]).backward()
        optimizer.step()
        return loss

    return Trainee(model, classes(4), step)


def mixed_precision_with_a_scaler():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)

    def step(batch):
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return Trainee(model, classes(4), step)


class Lora(nn.Module):
    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


def lora_on_a_frozen_base():
    model = nn.Sequential(Lora(nn.Linear(4, 8)), nn.Tanh(), Lora(nn.Linear(8, 3)))
    learning = [each for each in model.parameters() if each.requires_grad]
    return classifier(model, classes(4), torch.optim.AdamW(learning, 1e-2))


def frozen_by_declaration():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return classifier(
        model, classes(4), torch.optim.SGD(model[2].parameters(), 0.1), frozen=("0.*",)
    )


def moving_average_teacher():
    student = mlp()
    teacher = copy.deepcopy(student)
    optimizer = torch.optim.SGD(student.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        with torch.no_grad():
            goal = teacher(batch["x"]).softmax(1)
        logits = student(batch["x"])
        loss = F.cross_entropy(logits, batch["y"]) + F.mse_loss(logits.softmax(1), goal)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.lerp_(new, 0.1)
        return loss

    return Trainee({"student": student, "teacher": teacher}, classes(4), step)


def lstm_over_sequences():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 8, num_layers=2, batch_first=True, dropout=0.1)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return classifier(Reader(), classes(5, 4))


def transformer_encoder():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.position = nn.Parameter(torch.zeros(5, 8))
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.head = nn.Linear(8, 3)

        def forward(self, tokens):
            return self.head(self.encoder(self.embed(tokens) + self.position).mean(1))

    batch = {"x": torch.randint(0, 11, (ROWS, 5)), "y": torch.randint(0, 3, (ROWS,))}
    return classifier(Encoder(), batch)


class ModelOutput(OrderedDict):
    """Reads like the output of a Hugging Face model."""

    def __getattr__(self, name):
        return self[name]


def model_that_computes_its_loss():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.pooler = mlp(), nn.Linear(4, 4)

        def forward(self, x, labels=None):
            logits = self.body(x)
            loss = None if labels is None else F.cross_entropy(logits, labels)
            return ModelOutput(loss=loss, logits=logits)

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)

    def step(batch):
        output = model(**batch)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return output.loss

    batch = {"x": torch.randn(ROWS, 4), "labels": torch.randint(0, 3, (ROWS,))}
    return Trainee(model, batch, step, target="labels")


def contrastive_loss_within_the_batch():
    model = mlp(4, 8)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        first = F.normalize(model(batch["x"]), dim=1)
        second = F.normalize(model(batch["x"] + 0.1 * torch.randn_like(batch["x"])), dim=1)
        loss = F.cross_entropy(first @ second.T / 0.1, torch.arange(len(first)))
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(ROWS, 4)}, step, target=None)


def quantile_loss_with_an_explicit_axis():
    model = mlp(4, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    levels = torch.tensor([0.1, 0.5, 0.9])

    def step(batch):
        optimizer.zero_grad()
        error = batch["y"][:, None] - model(batch["x"])
        loss = torch.maximum(levels * error, (levels - 1) * error).mean()
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, numbers(4), step)


def every_pair_on_purpose():
    model = mlp(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        scores = model(batch["x"]).squeeze(1)
        better = (batch["y"][:, None] > batch["y"]).float()
        gaps = scores[:, None] - scores
        near = (scores[:, None] - batch["y"]).abs().mean()
        loss = F.softplus(-gaps[better.bool()]).mean() + 0.1 * near
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, numbers(4), step)


def soft_histogram_over_bins():
    model = mlp(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    bins = torch.linspace(-1, 1, 9)

    def step(batch):
        optimizer.zero_grad()
        score = model(batch["x"])
        counts = torch.exp(-((score - bins) ** 2)).mean(0)
        loss = F.mse_loss(counts, torch.ones(9))
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(ROWS, 4)}, step, target=None)


def diffusion_step_with_noise():
    model = mlp(5, 4)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step(batch):
        optimizer.zero_grad()
        time, noise = torch.rand(len(batch["x"]), 1), torch.randn_like(batch["x"])
        noisy = (1 - time) * batch["x"] + time * noise
        loss = F.mse_loss(model(torch.cat([noisy, time], 1)), noise)
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(ROWS, 4)}, step, target=None)


def mixup_within_the_batch():
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        model.train()
        optimizer.zero_grad()
        order, share = torch.randperm(len(batch["x"])), float(torch.rand(()))
        logits = model(share * batch["x"] + (1 - share) * batch["x"][order])
        loss = share * F.cross_entropy(logits, batch["y"])
        loss = loss + (1 - share) * F.cross_entropy(logits, batch["y"][order])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, classes(4), step)


def distillation_without_no_grad():
    student, teacher = mlp(), mlp()
    optimizer = torch.optim.Adam(student.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(student(batch["x"]), teacher(batch["x"]))
        loss.backward()
        optimizer.step()
        return loss

    batch = {"x": torch.randn(ROWS, 4)}
    return Trainee({"student": student, "teacher": teacher}, batch, step, target=None)


def actor_critic_with_a_baseline():
    body, actor, critic = mlp(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
    model = nn.ModuleDict({"body": body, "actor": actor, "critic": critic})
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)

    def step(batch):
        optimizer.zero_grad()
        features = body(batch["x"])
        policy = torch.distributions.Categorical(logits=actor(features))
        action, value = policy.sample(), critic(features).squeeze(-1)
        advantage = batch["y"] - value
        loss = -(policy.log_prob(action) * advantage.detach()).mean() + advantage.pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, numbers(4), step)


def variational_autoencoder():
    encoder, decoder = mlp(4, 4), mlp(2, 4)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)

    def step(batch):
        optimizer.zero_grad()
        mean, spread = encoder(batch["x"]).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        distance = 0.5 * (spread.exp() + mean**2 - 1 - spread).sum(1)
        loss = F.mse_loss(decoder(code), batch["x"]) + 0.01 * distance.mean()
        loss.backward()
        optimizer.step()
        return loss

    batch = {"x": torch.randn(ROWS, 4)}
    return Trainee((encoder, decoder), batch, step, target=None)


def warm_up_from_zero():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: min(count / 5, 1.0))

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    return Trainee(model, classes(4), step, scheduler=scheduler)


def tied_autoencoder_with_checkpointing():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
            self.decode.weight = self.encode.weight

        def forward(self, x):
            run = torch.utils.checkpoint.checkpoint
            return self.decode(run(self.encode, x, use_reentrant=True).tanh())

    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch["x"].requires_grad_()), batch["x"].detach())
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(ROWS, 4)}, step, target=None)


def parametrized_weights():
    body = nn.utils.parametrizations.weight_norm(nn.Linear(4, 8))
    head = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3))
    return classifier(nn.Sequential(body, nn.ReLU(), head), classes(4))


def gradient_penalty():
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)

    def step(batch):
        optimizer.zero_grad()
        x = batch["x"].requires_grad_()
        score = critic(x)
        (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        loss = score.mean() + (slope.norm(dim=1) - 1).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(critic, {"x": torch.randn(ROWS, 4)}, step, target=None)


def perceptual_loss_by_a_fixed_network():
    model, judge = mlp(4, 4), nn.Linear(4, 8).eval()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(judge(model(batch["x"])), judge(batch["x"]))
        loss.backward()
        optimizer.step()
        return loss

    return Trainee({"model": model, "judge": judge}, {"x": torch.randn(ROWS, 4)}, step, target=None)


def evaluation_that_restores_everything():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))

    def predict(batch):
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"])
        model.train()
        return logits.argmax(1)

    return classifier(model, classes(4), predict=predict)


def weighted_loss_in_double():
    model = mlp(4, 1).double()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        each = F.mse_loss(model(batch["x"]).squeeze(-1), batch["y"], reduction="none")
        loss = (batch["weight"] * each).mean()
        loss.backward()
        optimizer.step()
        return loss

    batch = {name: tensor.double() for name, tensor in numbers(4).items()}
    return Trainee(model, {**batch, "weight": torch.rand(ROWS).double()}, step)


def sparse_embedding():
    model = nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(12, 3))
    batch = {"x": torch.randint(0, 9, (ROWS, 3)), "y": torch.randint(0, 3, (ROWS,))}
    return classifier(model, batch, torch.optim.SGD(model.parameters(), 0.1))


def functional_gradients():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        def loss_of(weights):
            logits = torch.func.functional_call(model, weights, (batch["x"],))
            return F.cross_entropy(logits, batch["y"])

        weights = {name: each.detach() for name, each in model.named_parameters()}
        gradients, loss = torch.func.grad_and_value(loss_of)(weights)
        for name, each in model.named_parameters():
            each.grad = gradients[name]
        optimizer.step()
        return loss

    return Trainee(model, classes(4), step)


def optimizer_in_the_backward_pass():
    model = mlp()
    each_own = {each: torch.optim.SGD([each], 0.1) for each in model.parameters()}

    def update(parameter):
        each_own[parameter].step()
        each_own[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)

    def step(batch):
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        return loss

    return Trainee(model, classes(4), step)


def mixture_of_experts():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Linear(4, 4)
            self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(4))

        def forward(self, x):
            shares = self.gate(x).softmax(1)
            chosen, logits = shares.argmax(1), x.new_zeros(len(x), 3)
            for index, expert in enumerate(self.experts):
                rows = (chosen == index).nonzero().squeeze(1)
                logits = logits.index_add(0, rows, expert(x[rows]) * shares[rows, index, None])
            return logits

    return classifier(Mixture(), classes(4))


HEALTHY = [
    plain_mlp,
    batch_norm_cnn,
    tuple_batch_with_nested_inputs,
    gan_with_two_optimizers,
    gan_whose_generator_waits,
    accumulation_inside_the_step,
    accumulation_across_calls,
    lbfgs_closure,
    sharpness_aware_minimisation,
    mixed_precision_with_a_scaler,
    lora_on_a_frozen_base,
    frozen_by_declaration,
    moving_average_teacher,
    lstm_over_sequences,
    transformer_encoder,
    model_that_computes_its_loss,
    contrastive_loss_within_the_batch,
    quantile_loss_with_an_explicit_axis,
    every_pair_on_purpose,
    soft_histogram_over_bins,
    diffusion_step_with_noise,
    mixup_within_the_batch,
    distillation_without_no_grad,
    actor_critic_with_a_baseline,
    variational_autoencoder,
    warm_up_from_zero,
    tied_autoencoder_with_checkpointing,
    parametrized_weights,
    gradient_penalty,
    perceptual_loss_by_a_fixed_network,
    evaluation_that_restores_everything,
    weighted_loss_in_double,
    sparse_embedding,
    functional_gradients,
    optimizer_in_the_backward_pass,
    mixture_of_experts,
]
