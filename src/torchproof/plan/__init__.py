"""From what happened to what will run, where, and who may see it. Pure."""

from torchproof.plan.event import NO_COMMIT, Event, PullRequest, Run
from torchproof.plan.more import more_jobs
from torchproof.plan.plan import Job, Plan, make_plan
from torchproof.plan.request import Request


__all__ = [
    "NO_COMMIT",
    "Event",
    "Job",
    "Plan",
    "PullRequest",
    "Request",
    "Run",
    "make_plan",
    "more_jobs",
]
