"""What the runner obeys, by examples from its own tests and from security reports."""

from __future__ import annotations

import pytest
from tests.runner.commands import obeyed


def names(output):
    return [command.name for command in obeyed(output)]


@pytest.mark.parametrize(
    "line",
    [
        "::error::broken",
        "   ::error::broken",
        "\t::ERROR::broken",
        "\u00a0::error::broken",
        "::error file=a.py,line=1::broken",
        "epoch 3 ##[error]broken",
        "##[Error file=a.py;line=1]broken",
        "progress 10%\r::error::broken",
    ],
)
def test_a_command_is_obeyed(line):
    assert names(line) == ["error"]


@pytest.mark.parametrize(
    "line", ["x ::error::broken", "::error broken", ":: error::x", "::unknown::x", "## [error]x"]
)
def test_other_text_is_not_obeyed(line):
    assert names(line) == []


def test_properties_and_data_are_unescaped():
    (command,) = obeyed("::error file=a%2Cb.py,line=3,title=::one%0Atwo %25")
    assert command.properties == {"file": "a,b.py", "line": "3", "title": ""}
    assert command.data == "one\ntwo %"


def test_nothing_is_obeyed_between_stop_commands_and_its_token():
    output = "::stop-commands::t0ken\n::error::a\n##[error]b\n::T0ken::\n::notice::c"
    assert names(output) == ["stop-commands", "notice"]


def test_a_token_that_was_used_up_is_no_command():
    assert names("::stop-commands::t\n::t::\n::t::\n::debug::x") == ["stop-commands", "debug"]
