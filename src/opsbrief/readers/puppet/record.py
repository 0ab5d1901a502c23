"""A report of Puppet as plain values, whichever way it was read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from opsbrief.model.evidence import Change, Origin, Run
from opsbrief.readers.puppet import version
from opsbrief.text import line

State = Literal["applied", "failed", "noop"]

#: What Puppet calls the outcome of an event. A skipped resource was not touched, an audited one only looked at.
STATES: Mapping[str, State] = {"success": "applied", "failure": "failed", "noop": "noop"}
STATUSES = frozenset({"changed", "unchanged", "failed"})  # of a run
_CORRECTIVE = "(corrective)"
_MESSAGES = 5  # of one resource
_CAP = 400
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,12})? ?(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One property of one resource that a run changed, failed to change, or would have changed."""

    at: datetime
    node: str  # by its certificate's name
    type: str  # "File"
    title: str  # "/etc/app.conf"
    attribute: str  # Puppet calls it a property: "content", "ensure"
    old: str
    new: str
    state: State
    message: str
    corrective: bool
    stated: str  # configuration version
    run: str  # the report it stands in
    classes: tuple[str, ...] = ()  # that contain the resource

    @property
    def ref(self) -> str:
        """The resource as Puppet writes it."""
        return f"{self.type}[{self.title}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of one node."""

    id: str
    node: str
    start: datetime
    end: datetime
    status: Literal["changed", "unchanged", "failed"]
    stated: str
    noop: bool
    pending: bool
    cached: bool
    agent: bool
    stored: datetime | None = None  # when PuppetDB had it
    counts: tuple[int, int] | None = None  # resources changed and failed, where they are not named


def happening(
    told: Mapping[str, object], *, at: datetime | None, node: str, stated: str, run: str, classes: Iterable[str] = ()
) -> Happening | None:
    """Return an event of a report; None for one that touched nothing, or says too little.

    ``told`` has resource_type, resource_title, property, old_value, new_value, status, message, corrective_change.
    """
    state = STATES.get(plainly(told.get("status")))
    kind, title = plainly(told.get("resource_type")), plainly(told.get("resource_title"))
    if not state or at is None or not kind:
        return None
    message = plainly(told.get("message"), 2000)
    # Open-source PuppetDB leaves the flag empty; what the agent wrote into the message it keeps.
    corrective = told.get("corrective_change") in {True, "true"} or message.endswith(_CORRECTIVE)
    return Happening(
        at=at, node=node, type=kind, title=title, attribute=plainly(told.get("property")),
        old=version.plain(plainly(told.get("old_value"))), new=version.plain(plainly(told.get("new_value"))),
        state=state, message=message, corrective=corrective, stated=stated, run=run, classes=tuple(classes),
    )  # fmt: skip


def counts(told: Iterable[Happening]) -> tuple[int, int]:
    """Return how many resources of one run were changed and how many failed."""
    states: dict[str, set[str]] = {"applied": set(), "failed": set()}
    for one in told:
        states.get(one.state, set()).add(one.ref)
    return len(states["applied"] - states["failed"]), len(states["failed"])


def run(report: Report, told: Iterable[Happening], host: str, origin: Origin, *, inside: bool) -> Run:
    """Return a report as a value of the evidence."""
    changed, failed = report.counts or counts(told)
    return Run(
        at=report.end, host=host, status=report.status, version=version.commit(report.stated), stated=report.stated,
        noop=report.noop, pending=report.pending, cached=report.cached, agent=report.agent,
        changed=changed, failed=failed, in_window=inside, origin=origin,
    )  # fmt: skip


def resources(told: Iterable[Happening]) -> Iterable[list[Happening]]:
    """Yield the happenings of each resource of each run together, in the order they came."""
    groups: dict[tuple[str, str, str], list[Happening]] = {}
    for one in told:
        groups.setdefault((one.node, one.run, one.ref), []).append(one)
    yield from groups.values()


def change(told: list[Happening], host: str, origin: Origin) -> Change:
    """Return what happened to one resource in one run as a value of the evidence."""
    first = told[0]
    states = {one.state for one in told}
    state: State = "failed" if "failed" in states else "applied" if "applied" in states else "noop"
    said = list(dict.fromkeys(described(one) for one in told))
    more = f"; and {len(said) - _MESSAGES} more" if len(said) > _MESSAGES else ""
    return Change(
        kind="resource", at=min(one.at for one in told), ref=first.ref, role="infrastructure", hosts=(host,),
        summary=line("; ".join(said[:_MESSAGES]), _CAP) + more, version=version.commit(first.stated), state=state,
        corrective=any(one.corrective for one in told), origin=origin,
    )  # fmt: skip


def described(one: Happening) -> str:
    """Return what happened in Puppet's words, or in ours where it has none."""
    if one.message:
        return version.short(one.message)
    return version.short(f"{one.attribute or 'resource'} changed {one.old!r} to {one.new!r}")


def plainly(value: object, cap: int = 500) -> str:
    """Return any value of JSON or YAML as one safe line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return line(", ".join(str(one)[:cap] for one in value[:20]), cap)
    return line(str(value)[: cap * 4], cap)


def moment(value: object) -> datetime | None:
    """Return a time of PuppetDB or of a report (9 digits of a second); None when it is none."""
    if not isinstance(value, str) or not (found := _STAMP.fullmatch(value.strip())):
        return None
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '')[:7]}{_offset(found[4])}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(text: str | None) -> str:
    return "+00:00" if text in {None, "Z"} else str(text)
