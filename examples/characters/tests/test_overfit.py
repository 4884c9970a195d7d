"""One batch must be learnt; the curve is kept and compared with main's."""

import pytest


@pytest.mark.overfit
def test_one_batch(proof, build):
    proof.overfit(build, steps=120)
