"""What counts as a change of a comment: everything but marker and footer."""

from torchproof.report import body_key


BODY = "### title\n\ntable"
MARKER = "<!-- torchproof default order 12.1.0 -->"
FOOTER = "<sub>torchproof · run 12</sub>"


def test_marker_and_footer_do_not_count():
    assert body_key(f"{MARKER}\n{BODY}\n\n{FOOTER}\n") == BODY


def test_a_body_without_them_is_its_own_key():
    assert body_key(BODY) == BODY
    assert body_key("") == ""


def test_line_ends_as_github_returns_them_do_not_count():
    assert body_key(f"{MARKER}\r\n### title\r\n\r\ntable\r\n\r\n{FOOTER}\r\n") == BODY


def test_a_footer_or_marker_in_the_middle_counts():
    assert body_key(f"a\n{FOOTER}\n{MARKER}\nb") == f"a\n{FOOTER}\n{MARKER}\nb"
