"""The output of a program as log lines: counted and sampled by the stretches of a window."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

from opsbrief.model.window import Span, utc
from opsbrief.readers.declared.path import Path
from opsbrief.readers.lines import stamp
from opsbrief.readers.lines.layout import Layout, Plain
from opsbrief.readers.lines.sample import Kept, Tally, cut
from opsbrief.readers.lines.structured import HOST, LEVEL, MESSAGE, TIME, Structured


@dataclass(frozen=True, slots=True)
class Counted:
    """One output: its tallies, a stretch each, and the oldest time in it."""

    tallies: tuple[Tally, ...]
    oldest: datetime | None


def layout(data: bytes, fields: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Layout | None:
    """Return how lines are built, JSON objects or text with stamps; None when neither is to be seen."""
    clock = stamp.Clock(zone, now, now)
    named = {what: (path.removeprefix("$").removeprefix("."),) for what, path in fields.items()}
    structured = Structured(
        clock=clock,
        time=named.get("time", TIME),
        message=named.get("text", MESSAGE),
        level=named.get("level", LEVEL),
        host=named.get("host", HOST),
    )
    sample = b"\n" + data[: 1 << 16]
    if structured.heads(sample):
        return structured
    form = stamp.recognise(sample, clock)
    return Plain(form, clock) if form else None


def relaid(data: bytes, pick: Path | None) -> bytes:
    """Return a JSON document as one line an entry; lines as they are."""
    if not pick and data.lstrip()[:1] != b"[":
        return data
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    entries = pick.pick(document) if pick else document
    return "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries).encode("utf-8", "replace")


def count(
    data: bytes,
    how: Layout | None,
    spans: Sequence[Span],
    limit: int,
    test: Callable[[bytes], bool] | None,
    host: str,
) -> Counted:
    """Count the records into the stretches, and keep some of each, evenly spread; no layout, no records."""
    tallies = tuple(
        Tally(span.label, ceil(span.start.timestamp()), ceil(span.end.timestamp()), limit, test) for span in spans
    )
    if how is None:
        return Counted(tallies, None)
    block = b"\n" + data
    heads = how.heads(block)
    oldest: int | None = None
    for head, end in zip(heads, [*(head[0] for head in heads[1:]), len(block)], strict=True):
        try:
            second = how.epoch(*head[2:])
        except (ValueError, OverflowError):
            continue
        oldest = second if oldest is None else min(oldest, second)
        raw, more = cut(block, head[0] + 1, end)
        _tell(tallies, Kept(raw, second, head[1], more, how, host, ""))
    return Counted(tallies, None if oldest is None else utc(oldest))


def _tell(tallies: Iterable[Tally], record: Kept) -> None:
    for tally in tallies:
        if not tally.start <= record.at < tally.end:
            continue
        tally.seen += 1
        if tally.test is None or tally.test(record.raw):
            for _ in tally.places(1):
                tally.keep(record)
            tally.count(record.level, record.at, 1)
