"""A report of Puppet as its own file: ``last_run_report.yaml``, the server's store, ``last_run_summary.yaml``."""

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.window import utc
from opsbrief.readers.puppet import record
from opsbrief.readers.puppet.record import Happening, Report, moment
from opsbrief.readers.puppet.ruby import dig

_EVENTS = 20_000  # of one report
_AGENTS = frozenset({"fact_generation", "plugin_sync", "startup_time", "convert_catalog"})  # puppet apply does not


def report(told: object) -> tuple[Report, list[Happening]]:
    """Return the run that a report tells of, and what it did. Raises SourceError when it is none."""
    node, start = record.plainly(dig(told, "host"), 300), moment(dig(told, "time"))
    status: Any = _plain(dig(told, "status"))  # one of record.STATUSES, or refused
    if not node or not start or status not in record.STATUSES:
        detail = "has no host, time and status, which a report of Puppet has"
        raise SourceError(GapKind.BAD_ANSWER, detail, "take last_run_report.yaml, or the server's reports/NODE/*.yaml")
    stated = record.plainly(dig(told, "configuration_version"), 200)
    run = record.plainly(dig(told, "transaction_uuid"), 80) or f"{node} {start.isoformat()}"
    events = list(_events(told, node, stated, run))
    times = dict(_values(dig(told, "metrics", "time", "values")))
    found = Report(
        id=run, node=node, start=start, end=_end(told, start, times, events), status=status, stated=stated,
        noop=_plain(dig(told, "noop")) == "true", pending=_plain(dig(told, "noop_pending")) == "true",
        cached=_plain(dig(told, "cached_catalog_status")) not in {"", "not_used"}, agent=bool(_AGENTS & times.keys()),
    )  # fmt: skip
    return found, events


def summary(told: object, node: str) -> Report:
    """Return the run that a summary tells of, which names neither its node nor what it did. Raises SourceError."""
    last = _number(dig(told, "time", "last_run"))
    if last is None:
        raise SourceError(GapKind.BAD_ANSWER, "has no time.last_run, which a summary of Puppet has")
    total = _number(dig(told, "time", "total")) or 0.0
    count = {name: int(_number(dig(told, "resources", name)) or 0) for name in ("changed", "failed", "out_of_sync")}
    failures = int(_number(dig(told, "events", "failure")) or 0)
    whole = isinstance(dig(told, "resources"), dict)  # it is not, where there was no catalog
    failed = bool(count["failed"] or failures) or not whole
    pending = count["out_of_sync"] > count["changed"] + count["failed"]
    end = utc(last)
    return Report(
        id=f"{node} {last:.0f}", node=node, start=end - timedelta(seconds=total), end=end,
        status="failed" if failed else "changed" if count["changed"] else "unchanged",
        stated=record.plainly(dig(told, "version", "config"), 200),
        # It does not say noop. What was found and left as it was, was not applied.
        noop=pending, pending=pending, cached=False, agent=_plain(dig(told, "application", "run_mode")) == "agent",
        counts=(count["changed"], count["failed"]),
    )  # fmt: skip


def is_summary(told: object) -> bool:
    """Return whether a file is a summary rather than a report."""
    return isinstance(told, dict) and "host" not in told and isinstance(told.get("time"), dict)


def _events(told: object, node: str, stated: str, run: str) -> Iterator[Happening]:
    statuses = dig(told, "resource_statuses")
    count = 0
    for name, status in statuses.items() if isinstance(statuses, dict) else ():
        events, path = dig(status, "events"), dig(status, "containment_path")
        classes = [str(part) for part in path if "[" not in str(part)] if isinstance(path, list) else []
        kind, title = dig(status, "resource_type"), dig(status, "title")
        for event in events if isinstance(events, list) else ():
            count += 1
            if count > _EVENTS or not isinstance(event, dict):
                return
            row = {
                "resource_type": kind or name.partition("[")[0], "resource_title": title,
                "status": _plain(event.get("status")),
                "property": event.get("property"), "old_value": event.get("previous_value"),
                "new_value": event.get("desired_value"), "message": event.get("message"),
                "corrective_change": event.get("corrective_change"),
            }  # fmt: skip
            at = moment(event.get("time")) or moment(dig(status, "time"))
            if one := record.happening(row, at=at, node=node, stated=stated, run=run, classes=classes):
                yield one


def _end(told: object, start: datetime, times: dict[str, float], events: list[Happening]) -> datetime:
    """Return when a run was over, as PuppetDB reckons it; without a total, when it last said something."""
    total = times.get("total")
    if total is not None and 0 <= total < 10 * 86400:
        return start + timedelta(seconds=total)
    logs = dig(told, "logs")
    said = [moment(dig(entry, "time")) for entry in logs] if isinstance(logs, list) else []
    return max([start, *(at for at in said if at), *(one.at for one in events)])


def _values(listed: object) -> Iterator[tuple[str, float]]:
    """Yield name and number of ``[[total, Total, 0.28], ...]``."""
    for row in listed if isinstance(listed, list) else ():
        if isinstance(row, list) and len(row) == 3 and (number := _number(row[2])) is not None:
            yield _plain(row[0]), number


def _number(value: object) -> float | None:
    with suppress(ValueError, TypeError):
        number = float(value)  # type: ignore[arg-type] # reason: any shape, that is what is caught
        return number if math.isfinite(number) and 0 <= number < 10**10 else None
    return None


def _plain(value: object) -> str:
    """Return a word; symbols of old Rubies have a colon before them."""
    return value.removeprefix(":") if isinstance(value, str) else ""
