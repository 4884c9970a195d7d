"""Untrusted text never becomes markup: it stays in its code span, and rows keep their cells."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from torchproof.report.markdown import code_block, codespan, markdown, prose, table
from torchproof.report.phrase import Name, listed, plain, visible


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ACTIVE = re.compile(r"@\w|#\d|https?:|www\.|<|!\[|\]\(|<!--")
SIGNS = "`|\\<>!-@#[]()&*_~ \n\r\t\u202e\u200b\x1b:/.1a"
hostile = st.one_of(st.text(), st.text(SIGNS), st.text(SIGNS, max_size=8))


def outside_code(text):
    """Return everything that a reader's browser would treat as more than code, and the tags."""
    found = []
    for token in PARSER.parse(text):
        if token.type == "html_block":
            found.append(token.content)
        children = token.children or ()
        found += [each.content or each.tag for each in children if each.type != "code_inline"]
    return found


@given(hostile)
@settings(max_examples=300)
@example("`")
@example("``")
@example(" a ")
@example("<!-- torchproof id=default run=9.9 -->")
@example("a\\")
@example("a | b")
@example("</code></details>@octocat")
def test_a_code_span_holds_whatever_is_put_into_it(text):
    assert outside_code(codespan(text)) == []


@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=4))
@settings(max_examples=200)
def test_a_table_keeps_its_cells_and_nothing_leaves_them(rows):
    head, lines = table(("first", "second"), [[codespan(a), codespan(b)] for a, b in rows])
    tokens = PARSER.parse("\n".join([head, *lines]))
    types = [token.type for token in tokens]
    assert types.count("td_open") == 2 * len(rows)
    assert types.count("tr_open") == len(rows) + 1
    assert types[0] == "table_open"
    assert types[-1] == "table_close"
    rest = outside_code("\n".join([head, *lines]))
    assert not [text for text in rest if ACTIVE.search(text)]


@given(hostile)
@settings(max_examples=200)
@example("```\n</details>")
@example("~~~\n```\n````")
def test_a_code_block_is_one_block_whatever_stands_in_it(text):
    tokens = PARSER.parse(code_block(text))
    assert [token.type for token in tokens] == ["fence"]


@given(hostile)
@settings(max_examples=200)
def test_our_words_stay_words_and_anything_else_becomes_code(text):
    assert not [part for part in outside_code(prose(text)) if ACTIVE.search(part)]


@given(hostile)
def test_nothing_invisible_and_no_line_break_is_left(text):
    assert visible(text).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "`a\\u{202e}b`"),
        ("a\nb", "`a ⏎ b`"),
        ("a|b", "`a\u2223b`"),
        ("a`b", "``a`b``"),
        ("`a`", "`` `a` ``"),
        ("<!-- x", "`<!\\u{2d}- x`"),
        ("\x1b[31m", "`\\u{1b}[31m`"),
        ("", "`  `"),
    ],
)
def test_what_a_code_span_looks_like(text, shown):
    assert codespan(text) == shown


def test_a_long_text_is_cut_and_says_so():
    assert codespan("x" * 500) == f"`{'x' * 199}…`"
    assert "… 60 more lines" in code_block("line\n" * 99 + "line")


def test_a_column_that_is_empty_in_every_row_is_left_out():
    head, rows = table(("a", "b", "c"), [["1", "", "3"], ["4", "", "6"]])
    assert head == "| a | c |\n| --- | --- |"
    assert rows == ["| 1 | 3 |", "| 4 | 6 |"]


def test_a_phrase_quotes_names_and_leaves_our_words():
    phrase = ("2 checks fail: ", Name("a@b"), " in ", Name("test_x"))
    assert markdown(phrase) == "2 checks fail: `a@b` in `test_x`"
    assert plain(phrase) == "2 checks fail: a@b in test_x"


def test_a_list_is_written_as_in_a_sentence():
    names = [(Name(letter),) for letter in "abcd"]
    assert plain(listed(names[:1], 2)) == "a"
    assert plain(listed(names[:2], 2)) == "a and b"
    assert plain(listed(names, 2)) == "a, b and 2 more"
