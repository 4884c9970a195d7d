"""Sizes that are laid over those of a tiny configuration."""

from benchmarks.real_models.configs import merged


def test_a_size_inside_a_part_leaves_the_others():
    small = {"vision": {"width": 32, "depth": 2}, "heads": 4}
    assert merged(small, {"vision": {"depth": 1}}) == {
        "vision": {"width": 32, "depth": 1},
        "heads": 4,
    }


def test_a_part_that_names_its_type_is_taken_whole():
    small = {"backbone": {"model_type": "swin", "window_size": 2}}
    resnet = {"model_type": "resnet", "depths": [1, 1]}
    assert merged(small, {"backbone": resnet}) == {"backbone": resnet}
