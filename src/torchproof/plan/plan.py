"""Which tiers run for an event, where they run, and where the answer is shown.

=====================  ========================  ===========================  =======
event                  tiers                     shown in                     stored
=====================  ========================  ===========================  =======
pull_request           unit, overfit             comment, check, summary      yes
pull_request (fork)    unit                      summary                      no
push, default branch   unit, overfit             check, summary               yes
push, other branch     unit, overfit             summary                      no
merge_group            unit, overfit             check, summary               no
schedule               all tiers × seeds         check, summary               yes
workflow_dispatch      unit, overfit             check, summary               no
… with a request       the tiers asked for       what the asking run opened   yes
… to run again         one tier, one seed        summary                      yes
=====================  ========================  ===========================  =======

With a GPU runner, the tiers that want a GPU leave the hosted runner and are dispatched to it, and
``integration`` joins them: for pull requests of the repository itself, pushes to the default branch
and the nightly run. The input ``tiers`` replaces what suits the event.
Events that hold secrets while showing a stranger's code (``pull_request_target`` and its kin) are
refused whatever they contain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torchproof.errors import ConfigError, TrustError, UsageError
from torchproof.plan.request import AGAIN, Request
from torchproof.settings import FINGERPRINT


if TYPE_CHECKING:
    from torchproof.plan.event import Event
    from torchproof.settings import Inputs, Settings

Surface = Literal["comment", "check", "summary"]

PRIVILEGED = ("pull_request_target", "workflow_run", "issue_comment")
SUPPORTED = ("push", "pull_request", "schedule", "merge_group", "workflow_dispatch")
ON_GPU = ("overfit", "integration")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one tier: it becomes one run record.

    With ``fingerprint`` nothing is judged: what the tests train first is written down.
    """

    tier: str
    seed: int
    gpu: bool = False
    fingerprint: bool = False

    @property
    def name(self) -> str:
        """What the record calls the tier: fingerprints are no results of it."""
        return self.tier + FINGERPRINT if self.fingerprint else self.tier


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do about an event.

    ``jobs`` run here, ``dispatched`` tiers on the GPU runner. ``base`` is the commit whose history
    the baseline is looked up in, None for the tested commit's own. ``nothing`` says why there is
    nothing to do; then all else is empty.
    """

    activity: str
    jobs: tuple[Job, ...] = ()
    dispatched: tuple[str, ...] = ()
    surfaces: frozenset[Surface] = frozenset()
    store: bool = False
    compact: bool = False
    base: str | None = None
    request: Request | None = None
    nothing: str = ""


def make_plan(event: Event, settings: Settings, inputs: Inputs) -> Plan:
    """Decide what an event asks for.

    Raises:
        TrustError: The event would run a stranger's code where secrets or a GPU are.
        UsageError: The event is not one that torchproof knows.
        ConfigError: The input ``tiers`` names a tier that is not configured.
    """
    _refuse_danger(event)
    idle = _nothing_to_do(event)
    if idle:
        return Plan(activity=event.name, nothing=idle)
    if event.inputs.get("request"):
        return _requested(event, settings)
    plan = _PLANS[event.name](event, settings)
    return _with_gpu_runner(_with_tiers(plan, settings, inputs), event, settings, inputs)


def _refuse_danger(event: Event) -> None:
    if event.name in PRIVILEGED:
        remedy = "Use the event pull_request: torchproof then needs no secret to test a fork."
        raise TrustError(f"{event.name} hands secrets to code that anyone may have written", remedy)
    if event.from_fork and event.run.self_hosted:
        remedy = "Let forks run on a hosted runner: runs-on: ubuntu-latest."
        raise TrustError("a fork's code must not run on a self-hosted runner", remedy)
    if event.name not in SUPPORTED:
        remedy = f"Use one of {', '.join(SUPPORTED)}."
        raise UsageError(f"the event {event.name} is not one torchproof can judge", remedy)


def _nothing_to_do(event: Event) -> str:
    if event.name == "pull_request" and event.action == "closed":
        return "the pull request is closed"
    if event.deleted:
        return "the branch was deleted"
    if event.name == "merge_group" and event.action == "destroyed":
        return "the merge group was dissolved"
    return ""


def _pull_request(event: Event, settings: Settings) -> Plan:
    pull_request = event.pull_request
    if pull_request is None:
        raise UsageError("the pull_request event names no pull request", "Run it from GitHub.")
    if pull_request.fork:
        summary: frozenset[Surface] = frozenset({"summary"})
        jobs = _jobs(("unit",), settings)
        return Plan(activity="fork", jobs=jobs, surfaces=summary, base=pull_request.base_sha)
    return Plan(
        activity="pull-request",
        jobs=_jobs(("unit", "overfit"), settings),
        surfaces=frozenset({"comment", "check", "summary"}),
        store=True,
        base=pull_request.base_sha,
    )


def _push(event: Event, settings: Settings) -> Plan:
    main = event.branch == event.default_branch
    shown: frozenset[Surface] = frozenset({"check", "summary"} if main else {"summary"})
    jobs = _jobs(("unit", "overfit"), settings)
    return Plan(activity="push", jobs=jobs, surfaces=shown, store=main)


def _merge_group(event: Event, settings: Settings) -> Plan:
    shown: frozenset[Surface] = frozenset({"check", "summary"})
    jobs = _jobs(("unit", "overfit"), settings)
    return Plan(activity="merge-group", jobs=jobs, surfaces=shown, base=event.before or None)


def _schedule(event: Event, settings: Settings) -> Plan:
    jobs = tuple(
        Job(tier=name, seed=seed, gpu=tier.gpu and event.run.self_hosted)
        for name, tier in settings.tiers.items()
        for seed in _nightly_seeds(settings, event.run.number)
    )
    shown: frozenset[Surface] = frozenset({"check", "summary"})
    return Plan(activity="nightly", jobs=jobs, surfaces=shown, store=True, compact=True)


def _by_hand(event: Event, settings: Settings) -> Plan:
    jobs = _jobs(("unit", "overfit"), settings, gpu=event.run.self_hosted)
    return Plan(activity="by-hand", jobs=jobs, surfaces=frozenset({"check", "summary"}))


_PLANS = {
    "pull_request": _pull_request,
    "push": _push,
    "merge_group": _merge_group,
    "schedule": _schedule,
    "workflow_dispatch": _by_hand,
}


def _requested(event: Event, settings: Settings) -> Plan:
    request = Request.from_json(event.inputs["request"])
    if request.sha != event.sha:
        what = f"the workspace holds {event.sha[:12]}, the request is about {request.sha[:12]}"
        remedy = "Check out fromJSON(inputs.request).sha, as the starter workflow does."
        raise UsageError(what, remedy)
    shown: set[Surface] = {"summary", "check"} if request.check else {"summary"}
    if request.pull_request:
        shown.add("comment")
    return Plan(
        activity="nightly" if request.event == "schedule" else "requested",
        jobs=_requested_jobs(request, settings, on_gpu=_on_gpu(event, request)),
        surfaces=frozenset(shown),
        store=True,
        base=request.base_sha or None,
        request=request,
    )


def _on_gpu(event: Event, request: Request) -> bool:
    """Say whether the request went to the GPU runner; what runs again goes where its like ran."""
    return request.event != AGAIN or bool(event.inputs.get("runner"))


def _requested_jobs(request: Request, settings: Settings, *, on_gpu: bool) -> tuple[Job, ...]:
    _refuse_unknown(request.tiers, settings)
    return tuple(
        Job(tier=tier, seed=seed, gpu=on_gpu and settings.tiers[tier].gpu)
        for tier in request.tiers
        for seed in _requested_seeds(request, settings)
    )


def _requested_seeds(request: Request, settings: Settings) -> list[int]:
    if request.seed is not None:
        return [request.seed]
    if request.event == "schedule":
        return _nightly_seeds(settings, request.order[0])
    return [settings.seed]


def _nightly_seeds(settings: Settings, night: int) -> list[int]:
    """Return the project's own seed, and fresh ones every night.

    A run repeats itself bit by bit with the same seed, so only fresh seeds show how far apart the
    runs of main lie; the own seed tells on its own whether training changed.
    """
    fresh = max(0, settings.seeds - 1)
    first = settings.seed + 1 + night * fresh
    return [settings.seed, *range(first, first + fresh)]


def _with_tiers(plan: Plan, settings: Settings, inputs: Inputs) -> Plan:
    """Let the input ``tiers`` replace what suits the event; a fork stays with the unit tier."""
    wanted = tuple(inputs.tiers.replace(",", " ").split())
    if not wanted or plan.activity == "fork":
        return plan
    _refuse_unknown(wanted, settings)
    seeds = sorted({job.seed for job in plan.jobs})
    gpu = any(job.gpu for job in plan.jobs)
    jobs = tuple(
        Job(tier=tier, seed=seed, gpu=gpu and settings.tiers[tier].gpu)
        for tier in wanted
        for seed in seeds
    )
    return replace(plan, jobs=jobs)


def _with_gpu_runner(plan: Plan, event: Event, settings: Settings, inputs: Inputs) -> Plan:
    """Hand the GPU tiers over where there is a GPU runner and the code is the repository's own."""
    if not inputs.gpu_runner or not plan.store or event.run.self_hosted:
        return plan
    planned = tuple(dict.fromkeys(job.tier for job in plan.jobs))
    chosen = planned if inputs.tiers or plan.activity == "nightly" else (*planned, *ON_GPU)
    dispatched = tuple(dict.fromkeys(tier for tier in chosen if settings.tiers[tier].gpu))
    jobs = tuple(job for job in plan.jobs if job.tier not in dispatched)
    return replace(plan, jobs=jobs, dispatched=dispatched)


def _jobs(tiers: tuple[str, ...], settings: Settings, *, gpu: bool = False) -> tuple[Job, ...]:
    return tuple(
        Job(tier=tier, seed=settings.seed, gpu=gpu and settings.tiers[tier].gpu) for tier in tiers
    )


def _refuse_unknown(tiers: tuple[str, ...], settings: Settings) -> None:
    for tier in tiers:
        if tier not in settings.tiers:
            known = ", ".join(settings.tiers)
            raise ConfigError(f"there is no tier {tier!r:.80}", f"Known tiers: {known}.")
