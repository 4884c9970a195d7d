"""A benchmark writes its own table into the README, and touches nothing else of it."""

from __future__ import annotations

import pytest

from benchmarks import readme


PAGE = "before\n<!-- faults: make bench-faults -->\n| old |\n<!-- end -->\nafter\n"


def test_the_table_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    readme.write("faults", "| new | \\1 |", file=page)
    readme.write("faults", "| new | \\1 |", file=page)
    assert page.read_text() == PAGE.replace("| old |", "| new | \\1 |")


def test_a_page_without_the_marks_is_not_touched(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    with pytest.raises(ValueError, match=r"README\.md has no place for verdict"):
        readme.write("verdict", "| new |", file=page)
    assert page.read_text() == PAGE


@pytest.mark.parametrize("name", ["faults", "verdict"])
def test_the_readme_has_a_place_for_each_table(name, tmp_path):
    page = tmp_path / "README.md"
    page.write_text(readme.README.read_text("utf-8"))
    readme.write(name, "| new |", file=page)
