"""A Trainer is proven as it trains: its steps are the steps of ``Trainer.train``, bit by bit."""

from __future__ import annotations

import pytest
import torch

import torchproof
from torchproof.errors import UsageError


transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


class SoftmaxTwice(transformers.Trainer):
    """The bug: cross entropy applies softmax itself."""

    def compute_loss(self, model, inputs, return_outputs=False, **_):  # noqa: FBT002 - theirs
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.nn.functional.cross_entropy(outputs.logits.softmax(-1), labels)
        return (loss, outputs) if return_outputs else loss


def language_model(dropout=0.1):
    config = transformers.GPT2Config(
        vocab_size=50,
        n_positions=16,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
    )
    rows = torch.randint(1, 50, (8, 10))
    return transformers.GPT2LMHeadModel(config), [{"input_ids": r, "labels": r} for r in rows]


def classifier():
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=3,
    )
    rows = zip(torch.randint(1, 50, (8, 10)), torch.randint(3, (8,)))
    data = [
        {"input_ids": row, "attention_mask": (torch.arange(10) < 7 + i % 4).long(), "labels": label}
        for i, (row, label) in enumerate(rows)
    ]
    return transformers.BertForSequenceClassification(config), data


def trainer(folder, model, data, kind=transformers.Trainer, **arguments):
    settings = transformers.TrainingArguments(
        str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        **{"per_device_train_batch_size": 4, **arguments},
    )
    return kind(model, settings, train_dataset=data)


@pytest.mark.parametrize("make", [language_model, classifier])
def test_a_right_trainer_is_proven_and_learns(tmp_path, make):
    def build():
        return torchproof.from_trainer(trainer(tmp_path, *make()))

    proof = torchproof.prove(build)
    assert proof.passed, str(proof)
    assert "padding-ignored" not in proof.skipped or make is language_model
    assert torchproof.overfit(build, steps=80).converged


def test_a_bug_in_the_projects_own_loss_is_found_at_its_line(tmp_path):
    proof = torchproof.prove(
        lambda: torchproof.from_trainer(trainer(tmp_path, *classifier(), kind=SoftmaxTwice))
    )
    (error,) = [finding for finding in proof.findings if finding.severity == "error"]
    assert error.rule == "loss-input"
    assert error.location.split(":")[0].endswith("test_huggingface.py")


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_its_steps_are_those_that_train_takes(tmp_path, micro_batches):
    steps = 3

    def fresh():
        torch.manual_seed(0)
        model, data = language_model(dropout=0.0)
        return trainer(
            tmp_path,
            model,
            data[:1] * 24,  # whatever the order, each batch is the same
            max_steps=steps,
            gradient_accumulation_steps=micro_batches,
            max_grad_norm=0.01,
            learning_rate=0.01,
            lr_scheduler_type="constant",
        )

    real, ours = fresh(), fresh()
    real.train()
    trainee = torchproof.from_trainer(ours, ours.data_collator(ours.train_dataset[:4]))
    for _ in range(steps):
        trainee.step(trainee.batch)

    for name, parameter in real.model.named_parameters():
        assert torch.equal(ours.model.get_parameter(name), parameter), name


def test_without_a_dataset_it_asks_for_a_batch(tmp_path):
    model, _ = language_model()
    with pytest.raises(UsageError, match="no train_dataset to take a batch from"):
        torchproof.from_trainer(trainer(tmp_path, model, None))
