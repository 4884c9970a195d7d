"""Right programs that look like bugs."""

import lookalikes
import pytest

import torchproof


@pytest.mark.parametrize("build", lookalikes.HEALTHY, ids=lambda build: build.__name__)
def test_what_looks_like_a_bug_and_is_none_passes(build):
    proof = torchproof.prove(build)
    assert proof.passed, str(proof)
