"""The reader of DVC's YAML against PyYAML, whose BaseLoader leaves every scalar a text too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from torchproof.data.yaml_subset import read
from torchproof.errors import UsageError


WRITTEN = sorted(Path(__file__).with_name("dvc").glob("*.txt"))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=120)
KEYS = TEXTS.filter(bool)
TREES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_what_dvc_wrote_is_read(path):
    text = path.read_text("utf-8")
    assert read(text) == yaml.load(text, yaml.BaseLoader)


# The first draw builds the table of the characters, which takes seconds on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=3), unicode=st.booleans())
@example(tree={"0\xa0": None}, unicode=True)
@example(tree={"a": "b\xa0"}, unicode=True)
def test_it_reads_what_pyyaml_writes_or_refuses_it(tree, unicode):
    text = yaml.safe_dump(tree, default_flow_style=False, allow_unicode=unicode)
    try:
        found = read(text)
    except UsageError:
        return
    assert found == yaml.load(text, yaml.BaseLoader)


@given(st.text(max_size=200))
def test_whatever_the_text_is_it_is_read_or_refused(text):
    with suppress(UsageError):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "outs:\n- md5: a\n  path: b\n",
        "outs:\n  - md5: a\n    path: b\n  -\n    path: c\n",
        "a: long text that\n  goes on\n  and on\nb: x # said\n# all\n\nc: 'it''s: # one'\n",
        'a: "one\\n\\"two\\": \\u00fc \\x41"\nb:\nc: []\nd: {}\n',
        'a: "folded\n  here and\\\n  \\ there\n\n  new"\n',
        "a b: c\n'k: 1': 2\n",
        "deep:\n  list:\n  - - 1\n    - 2\n  - x: 1\n    y: 2\n",
    ],
)
def test_it_reads_as_pyyaml_does(text):
    assert read(text) == yaml.load(text, yaml.BaseLoader)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &x 1\n", "line 1 holds an anchor"),
        ("a: 1\nb: *x\n", "line 2 holds an alias"),
        ("a: !!int 1\n", "a tag"),
        ("a: |\n  text\n", "a block text"),
        ("a: [1, 2]\n", "a list in brackets"),
        ("a: {b: 1}\n", "a mapping in braces"),
        ("--- \na: 1\n", "a second document"),
        ("? a\n: 1\n", "a complex key"),
        ("a: 1\na: 2\n", "line 2 holds a key that is there already"),
        ("a: 1\n   b: 2\n", "a mapping below a text"),
        ("a:\n    b: 1\n  c: 2\n", "another indentation"),
        ("a: 'open\n", "a quoted text without an end"),
        ("a: 'x' y\n", "something after a quoted text"),
        ('a: "\\q"\n', "the escape"),
        ("just text\n", "a line without a key"),
        ("- " * 60 + "x\n", "nesting deeper than 40"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(text, what):
    with pytest.raises(UsageError, match=what):
        read(text)
