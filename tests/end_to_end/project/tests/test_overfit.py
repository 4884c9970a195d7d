import pytest


@pytest.mark.overfit
def test_one_batch(proof, build):
    proof.overfit(build, steps=80)
