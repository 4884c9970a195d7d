"""The table in docs/synthetic.md says what the generators say."""

from __future__ import annotations

from tests.docs.pages import code, table

from torchproof import synthetic


ROWS = {
    code(name): (best, chance)
    for name, _, best, chance in table("docs/synthetic.md", "| generator |")
}


def test_every_generator_is_listed_with_its_best_and_its_chance():
    assert {*ROWS} == {*synthetic.__all__} - {"Best", "SyntheticDataset"}
    for name, shown in ROWS.items():
        best = getattr(synthetic, name)().best
        assert shown == (f"{best.name} {best.value:.6g}", f"{best.chance:.6g}")
