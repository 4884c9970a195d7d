"""A user's template: extends ours, and can neither read, nor write, nor hang, nor lie."""

import pytest
from tests.samples import HEAD, broken_pull_request

from torchproof.errors import TemplateError
from torchproof.report import Context, comment, compose
from torchproof.verdict import judge


NAME = ".github/torchproof.md.j2"


@pytest.fixture(scope="module")
def report():
    head, base = broken_pull_request()
    return compose(judge(head, base), head, base, Context(head_sha=HEAD))


def rendered(report, source):
    return comment(report, template=source, template_name=NAME)


def test_a_block_is_replaced_and_the_rest_stays(report):
    source = '{% extends "comment.md.j2" %}{% block extra %}Ask the vision team.{% endblock %}'
    text = rendered(report, source)
    ours, footer = comment(report).rsplit("\n\n", 1)
    assert text == f"{ours}\n\nAsk the vision team.\n\n{footer}"


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("a\n{% if %}", 2, "Expected an expression"),
        ("a\n\n{{ nothing }}", 3, "'nothing' is undefined"),
        ("{{ icon.nothing }}", 1, "has no attribute"),
        ("{{ 1 / 0 }}", 1, "division by zero"),
        ('{% extends "other.md" %}', 1, "other.md"),
        ('{% include "/etc/passwd" %}', 1, "/etc/passwd"),
        ("{{ icon.__class__ }}", 1, "unsafe"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("{{ range(3) }}", 1, "'range' is undefined"),
        ("{{ lipsum }}", 1, "'lipsum' is undefined"),
        ("{% set _ = rows.rows.append(1) %}", 1, "unsafe"),
    ],
)
def test_a_broken_template_names_file_and_line(report, source, line, word):
    with pytest.raises(TemplateError) as caught:
        rendered(report, source)
    assert caught.value.where == f"{NAME}:{line}"
    assert word in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 'a'.ljust(10**10) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'x' * 200000 }}",
    ],
)
def test_a_template_that_takes_too_much_is_ended(report, source):
    with pytest.raises(TemplateError):
        rendered(report, source)


def test_a_template_that_does_not_end_is_ended(report):
    seconds = "{% for a in s %}{% for b in s %}{% for c in s %}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateError, match="it takes more"):
        rendered(report, "{% set s = ('a' * 9999) | list %}" + seconds)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("<!-- torchproof id=other run=9.9 -->", "writes torchproof's marker"),
        ("{# nothing #}", "writes nothing"),
    ],
)
def test_what_a_template_writes_is_checked(report, source, word):
    with pytest.raises(TemplateError, match=word):
        rendered(report, source)


def test_a_template_sees_no_environment(report, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with pytest.raises(TemplateError):
        rendered(report, "{{ self.__init__.__globals__ }}")
