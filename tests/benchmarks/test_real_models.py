from __future__ import annotations

import pytest
import torch


transformers = pytest.importorskip("transformers")

from benchmarks.real_models import architectures, tasks  # noqa: E402 - both need transformers
from benchmarks.real_models.configs import merged, tiny  # noqa: E402
from benchmarks.real_models.one_model import outcome, trainee_of  # noqa: E402


def test_the_second_of_two_sizes_is_right_as_deep_as_they_are_nested():
    one = {"width": 8, "text": {"depth": 2, "heads": 4}}
    assert merged(one, {"text": {"depth": 3}})["text"] == {"depth": 3, "heads": 4}


def test_a_part_that_names_its_type_takes_the_place_of_the_whole_part():
    one = {"text": {"model_type": "bert", "heads": 4}}
    other = {"text": {"model_type": "mamba", "state": 8}}
    assert merged(one, other) == other


def test_each_exception_is_of_an_architecture_that_exists():
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert set(architectures.SIZES) - set(CONFIG_MAPPING_NAMES) == set()


def test_a_tiny_encoder_decoder_knows_how_its_answers_begin():
    assert tiny(transformers.T5Config).decoder_start_token_id == 0


def test_an_exception_reaches_the_parts_of_a_configuration():
    text = tiny(transformers.Qwen3_5Config).text_config
    assert text.layer_types == ["linear_attention", "full_attention"]


def test_sound_has_as_many_placeholders_as_the_model_puts_in():
    trainee = trainee_of("seq2seq", transformers.AudioFlamingo3ForConditionalGeneration)()
    placeholders = trainee.batch["input_ids"] == trainee.model.config.audio_token_id
    assert (trainee.batch["labels"][placeholders] == -100).all()
    assert torch.isfinite(trainee.step(trainee.batch))


def test_a_classifier_of_a_text_to_text_model_reads_its_end():
    trainee = trainee_of("sequence", transformers.T5ForSequenceClassification)()
    ends = trainee.batch["input_ids"] == trainee.model.config.eos_token_id
    assert ends.sum(1).tolist() == [1] * len(ends)


@pytest.mark.parametrize("name", tasks.NOT_TRAINED)
def test_a_model_that_is_not_trained_alone_says_why(name):
    assert outcome("causal", getattr(transformers, name)).not_run == tasks.NOT_TRAINED[name]


def test_a_waiver_has_a_reason_and_is_of_its_architecture_alone():
    assert tasks.waivers("ReformerForMaskedLM")["reproducible"]
    assert tasks.waivers("BertForMaskedLM") == {}
