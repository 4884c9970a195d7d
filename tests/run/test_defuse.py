"""What a GitHub Actions runner obeys in the log, and that nothing of it survives."""

from __future__ import annotations

import itertools
import random
import re
import tracemalloc
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchproof.run.defuse import (
    MAX_LINE,
    Defuser,
    defuse,
    fence_token,
    resume_commands,
    stop_commands,
)


COMMANDS = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
]

PIECES = (
    *("::", "##[", "##", "#", "[", "]", ":", " ", "\t", "\r", "\n", "\r\n", "%0A", "=", ","),
    *("\x1b", "\x1b[31m", "\x1b[2K", "\x1b]0;t\x07", "\x00", "\x08", "\x0b", "\x85", "\u2028"),
    *("\u00a0", "\u3000", "\u200b", "\u00ad", "\u200d", "\ufeff", "\u034f", "\ufe0f", "é", "😀"),
    *COMMANDS,
    *(f"::{command}::x" for command in COMMANDS),
    *(f"##[{command}]x" for command in COMMANDS),
)


def runner_lines(log: str) -> list[str]:
    """Cut as .NET's ReadLine does."""
    return re.split(r"\r\n|\r|\n", log)


def weightless(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me") and character != "\t"


def obeyed(line: str) -> bool:
    """A port of ActionCommand.TryParseV2 and TryParse, strict in what counts as absent."""
    texts = (line, "".join(c for c in line if not weightless(c)))
    return any(named in COMMANDS for text in texts for named in commands_in(text))


def commands_in(text: str) -> list[str]:
    starts = re.match(r"\s*::(.*?)::", text)
    infos = [starts[1]] if starts else []
    infos += re.findall(r"##\[([^\]]*)\]", text)
    return [info.split(" ")[0].lower() for info in infos]


def log_of(*chunks: bytes) -> str:
    defuser = Defuser()
    return (b"".join(map(defuser.feed, chunks)) + defuser.close()).decode()


@pytest.mark.parametrize(
    "hostile",
    [
        "::set-output name=x::1",
        "\u3000\u2029::ADD-PATH::/tmp",
        "half a line ##[set-env name=PATH]/tmp",
        "progress\r::add-mask::0",
        "##\u00ad[add-path]/tmp",
    ],
)
def test_the_port_obeys_what_the_runner_obeys(hostile):
    assert any(map(obeyed, runner_lines(hostile)))
    assert not any(map(obeyed, runner_lines(log_of(hostile.encode()))))


@pytest.mark.parametrize("seed", range(20))
def test_the_runner_obeys_nothing(seed):
    dice = random.Random(seed)
    texts = ["".join(dice.choices(PIECES, k=dice.randrange(14))) for _ in range(1_000)]
    assert sum(any(map(obeyed, runner_lines(text))) for text in texts) > 100
    log = runner_lines(log_of(*(text.encode() for text in texts)))
    assert [line for line in log if obeyed(line)] == []
    assert all(line.startswith("|") for line in log[:-1])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_the_log_does_not_depend_on_how_the_stream_was_cut(text, cuts):
    data = text.encode()
    places = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(places)]
    assert log_of(*chunks) == log_of(data)


def test_a_progress_bar_becomes_lines():
    assert log_of(b"\r 10%|#   |\r 20%|##  |\r\ndone") == "|\n|  10%|#   |\n|  20%|##  |\n| done\n"


def test_colours_stay_and_other_controls_go():
    text = "\x1b[31mred\x1b[0m \x1b[2J\x1b]8;;http://x\x07link\x08\x9b"
    assert defuse(text) == "\x1b[31mred\x1b[0m link\x1b[0m"


def test_bytes_that_are_no_text_are_shown_as_such():
    assert log_of(b"loss \xff\xfe 0.1\n") == "| loss \ufffd\ufffd 0.1\n"


def test_an_endless_line_is_cut_in_bounded_memory():
    tracemalloc.start()
    defuser = Defuser()
    for _ in range(2_000):
        assert defuser.feed(b"x" * 16_384) == b""
    last = defuser.close().decode()
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert (
        last
        == f"| {'x' * MAX_LINE} [{2_000 * 16_384 - MAX_LINE} more bytes of this line left out]\n"
    )


def test_a_fence_names_a_token_that_nobody_guesses():
    token = fence_token()
    assert len(bytes.fromhex(token)) == 16
    assert token != fence_token()
    assert stop_commands(token) == f"::stop-commands::{token}\n".encode()
    assert resume_commands(token) == f"::{token}::\n".encode()
