"""The report on every surface of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof import report
from torchproof.errors import TemplateError
from torchproof.hub.hub import Annotation
from torchproof.run.workspace import read_template


if TYPE_CHECKING:
    from torchproof.report import Report
    from torchproof.stages.case import Case


def publish(case: Case, check: int | None, made: Report) -> None:
    """Show the report on every surface of the plan, and say what could not be shown."""
    outside, surfaces = case.outside, case.plan.surfaces
    outputs = dict(report.outputs(made))
    outside.console.say(outputs["headline"])
    annotations = [Annotation(**remark) for remark in report.annotate(made)]
    if "comment" in surfaces and case.pull_request is not None:
        with case.reporting():
            posted = outside.hub.upsert_comment(
                case.pull_request,
                _comment(case, made),
                marker=_marker(case),
                order=case.order,
                key=report.body_key,
            )
            outputs["comment-url"] = posted.url
    if check is not None and not made.verdict.pending:
        with case.reporting():
            outside.hub.finish_check(
                check,
                conclusion="success" if made.verdict.passed else "failure",
                title=outputs["headline"],
                summary=report.check(_noted(case, made)),
                annotations=annotations,
            )
    outside.console.summarise(report.summary(_noted(case, made)))
    outside.console.annotate(annotations)
    outside.console.output({**outputs, "report-status": "; ".join(case.troubles) or "complete"})


def _noted(case: Case, made: Report) -> Report:
    """Add what has gone wrong since the report was composed."""
    troubles = [(text,) for text in case.troubles]
    return replace(made, notes=tuple(dict.fromkeys([*troubles, *made.notes])))


def _marker(case: Case) -> str:
    """Tell the comments of a repository's projects apart by their directories."""
    directory = case.inputs.working_directory.strip("./")
    return directory or "default"


def _comment(case: Case, made: Report) -> str:
    """Render the comment, with the user's template where there is one that works."""
    name = case.settings.template
    if not name or case.event.from_fork:
        return report.comment(made)
    try:
        template = read_template(case.outside.workspace, name)
        return report.comment(made, template=template, template_name=name)
    except TemplateError as error:
        case.trouble(str(error))
        return report.comment(_noted(case, made))
