"""The part of YAML that DVC writes, read strictly: what is not known is refused by name.

Block mappings and lists, plain and quoted texts, also over several lines, comments, ``[]`` and
``{}``. Every scalar stays the text it is. Refused are anchors, aliases, tags, block texts,
non-empty brackets, complex keys and several documents.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from torchproof.errors import UsageError


MAX_DEPTH = 40

# YAML knows these two as white space; a no-break space is a letter like any other.
_BLANK = " \t"

_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^ \t"'#,&*!|>%@`\[\]{}].*?):(?: +(.*))?$"""
)
_REFUSED = {
    "&": "an anchor",
    "*": "an alias",
    "!": "a tag",
    "|": "a block text",
    ">": "a folded block text",
    "[": "a list in brackets",
    "{": "a mapping in braces",
    "%": "a directive",
    "@": "a reserved character",
    "`": "a reserved character",
}
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0",
    "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


class _Line(NamedTuple):
    number: int
    indent: int
    text: str


def read(text: str) -> Any:
    """Read a document: dictionaries, lists and texts; an empty one is an empty dictionary.

    Raises:
        UsageError: A line holds what this reader does not know.
    """
    reader = _Reader(text.split("\n"))
    found = reader.block(0) if reader.more() else {}
    if reader.more():
        raise _refused(reader.line(), "another indentation")
    return found


class _Reader:
    """A position in the lines; every method leaves it behind what it has read."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = [
            _Line(number, len(line) - len(line.lstrip(" ")), line.strip(" \r"))
            for number, line in enumerate(lines, 1)
        ]
        self._at = 0

    def more(self) -> bool:
        """Go to the next line that says something."""
        while self._at < len(self._lines):
            text = self._lines[self._at].text
            if text and not text.startswith("#"):
                return True
            self._at += 1
        return False

    def line(self) -> _Line:
        return self._lines[self._at]

    def block(self, depth: int) -> Any:
        line = self.line()
        if depth > MAX_DEPTH:
            raise _refused(line, f"nesting deeper than {MAX_DEPTH}")
        if line.text.startswith(("\t", "---", "...", "? ")):
            raise _refused(line, "a tab, a second document or a complex key")
        read = self._sequence if _is_item(line.text) else self._mapping
        return read(line.indent, depth)

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.more() and self.line().indent == indent and not _is_item(self.line().text):
            line = self.line()
            match = _KEY.match(line.text)
            if not match:
                raise _refused(line, _named(line.text, "a line without a key"))
            key = _unquoted(match[1], line) if match[1][0] in "\"'" else match[1].rstrip(_BLANK)
            if key in found:
                raise _refused(line, "a key that is there already")
            self._at += 1
            found[key] = self._value(match[2] or "", line, depth)
        return found

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while self.more() and self.line().indent == indent and _is_item(self.line().text):
            line = self.line()
            rest = line.text[1:].lstrip(" ")
            if rest and (_is_item(rest) or _KEY.match(rest)):
                inner = indent + len(line.text) - len(rest)
                self._lines[self._at] = line._replace(indent=inner, text=rest)
                found.append(self.block(depth + 1))
            else:
                self._at += 1
                found.append(self._value(rest, line._replace(text="-"), depth))
        return found

    def _value(self, rest: str, line: _Line, depth: int) -> Any:
        """Read what follows a key or a dash: a text, or the block below."""
        if rest and not rest.startswith("#"):
            return self._scalar(rest, line)
        if not self.more():
            return ""
        below = self.line()
        # A list may stand as far left as the key it belongs to.
        own = below.indent > line.indent or (
            below.indent == line.indent and line.text != "-" and _is_item(below.text)
        )
        return self.block(depth + 1) if own else ""

    def _scalar(self, rest: str, line: _Line) -> Any:
        if rest[0] in "\"'":
            return self._quoted(rest, line)
        plain = _without_comment(rest)
        if plain in ("[]", "{}"):
            return [] if plain == "[]" else {}
        if plain[0] in _REFUSED:
            raise _refused(line, _REFUSED[plain[0]])
        while self.more() and self.line().indent > line.indent:
            if _KEY.match(self.line().text):
                raise _refused(self.line(), "a mapping below a text")
            plain += " " + _without_comment(self.line().text)
            self._at += 1
        return plain

    def _quoted(self, rest: str, line: _Line) -> str:
        """Read a quoted text to its end, which may stand lines below; line breaks become spaces."""
        end = re.compile(r'"(?:[^"\\]|\\.)*"' if rest[0] == '"' else r"'(?:[^']|'')*'", re.DOTALL)
        while not (match := end.match(rest)):
            if self._at == len(self._lines):
                raise _refused(line, "a quoted text without an end")
            below = self._lines[self._at].text
            joint = "" if rest.endswith("\\") and rest[0] == '"' else " "
            rest = (rest[:-1] if not joint else rest) + ("\n" if not below else joint + below)
            self._at += 1
        if _without_comment(" " + rest[match.end() :]).strip(_BLANK):
            raise _refused(line, "something after a quoted text")
        return _unquoted(match[0].replace("\n ", "\n"), line)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _without_comment(text: str) -> str:
    return re.split(r"(?:^|[ \t])#", text, maxsplit=1)[0].rstrip(_BLANK)


def _unquoted(text: str, line: _Line) -> str:
    if text[0] == "'":
        return text[1:-1].replace("''", "'")

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise _refused(line, f"the escape \\{code}")
        return _ESCAPES[code]

    return _ESCAPE.sub(character, text[1:-1])


def _named(text: str, otherwise: str) -> str:
    return _REFUSED.get(text[0], otherwise)


def _refused(line: _Line, what: str) -> UsageError:
    return UsageError(f"line {line.number} holds {what}", "DVC writes none; remove it.")
