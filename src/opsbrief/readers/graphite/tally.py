"""What was asked for and did not come: a Gap for each target, not for each request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Span, Window
from opsbrief.readers.graphite.answer import Points
from opsbrief.readers.graphite.plan import Ask, Plan, Want
from opsbrief.text import line

_NOTHING = "no datapoint in this span"
_ABSENT = "no such series, or nothing in this span"
_NAMED = 5  # names in one gap; the number of the others is said


@dataclass(slots=True)
class _Account:
    """One want in one span."""

    came: set[str] = field(default_factory=set)  # with at least one datapoint
    empty: set[str] = field(default_factory=set)  # came without any
    failed: bool = False  # a part of it was refused, which is said elsewhere


class Tally:
    """Keeps account while the answers come in; says at the end what is missing."""

    def __init__(self, source: str, wanted: Sequence[Want], plan: Plan, window: Window, limit: int) -> None:
        """Begin with nothing arrived."""
        self._source = source
        self._wanted = wanted
        self._named = plan.named
        self._spared = plan.spared
        self._listed: dict[int, set[str]] = {}
        for ask in (ask for group in plan.groups for ask in group if ask.listed):
            self._listed.setdefault(id(ask.want), set()).update(ask.names)
        self._accounts: dict[tuple[str, int], _Account] = {}
        self._labels = [span.label for span in window.spans()]
        self._netted: set[tuple[str, str]] = set()
        self._room = dict.fromkeys(self._labels, limit)
        self._limit = limit
        self._errors: dict[tuple[str, GapKind, str, str], list[str]] = {}
        self._infinite: dict[str, int] = {}

    def _account(self, span: Span, want: Want) -> _Account:
        return self._accounts.setdefault((span.label, id(want)), _Account())

    def takes(self, span: Span, want: Want, points: Points, *, again: bool) -> bool:
        """Note a series that came for ``want``; return whether it is new.

        It is not when it has no datapoint, when it came before (unless ``again``: functions may give several
        series one name), when a wide net brings what was asked for anyway, or when the limit is reached.
        """
        account = self._account(span, want)
        if not np.isfinite(points.values).any():
            account.empty.add(points.name)
            return False
        new = again or points.name not in account.came
        account.came.add(points.name)
        if want.metric.rank and new:
            new = points.name not in self._named and (span.label, points.name) not in self._netted
            self._netted.add((span.label, points.name))
        if new:
            self._room[span.label] -= 1
            new = self._room[span.label] >= 0
        if new and points.infinite:
            self._infinite[points.name] = self._infinite.get(points.name, 0) + points.infinite
        return new

    def failed(self, span: Span, asks: Sequence[Ask], error: SourceError) -> None:
        """Note asks that the server refused."""
        names = self._errors.setdefault((span.label, error.kind, error.message, error.hint), [])
        for ask in asks:
            self._account(span, ask.want).failed = True
            names.append(ask.target)

    def gaps(self) -> Iterator[Gap]:
        """Yield a gap for everything that is missing."""
        yield from self._refused()
        yield from self._missing()
        for name, count in self._infinite.items():
            detail = f"{count:,} infinite values taken as missing"
            yield self._gap(f"series {line(name)}", GapKind.BAD_ANSWER, detail)
        over = max(-room for room in self._room.values())
        if over > 0:
            detail = f"{over:,} series dropped: the limit is {self._limit:,} series in all"
            yield self._gap("the rest", GapKind.TRUNCATED, detail, "narrow the targets or raise max_series")

    def _refused(self) -> Iterator[Gap]:
        """Yield what the server refused; the same refusal in several spans is one gap."""
        merged: dict[tuple[GapKind, str, str, tuple[str, ...]], list[str]] = {}
        for (label, kind, message, hint), names in self._errors.items():
            merged.setdefault((kind, message, hint, tuple(dict.fromkeys(names))), []).append(label)
        for (kind, message, hint, series), labels in merged.items():
            yield self._gap(f"series {_some(series)}", kind, message, hint, labels)

    def _missing(self) -> Iterator[Gap]:
        """Yield what did not come and was not refused either; the hosts of one metric share a gap."""
        lacking: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        for want in self._wanted:
            for label in self._labels:
                for name, detail in self._lost(want, label):
                    key = (want.metric.target, detail, _hint(want))
                    lacking.setdefault(key, {}).setdefault(name, []).append(label)
        for (_target, detail, hint), spans in lacking.items():
            alike: dict[tuple[str, ...], list[str]] = {}
            for name, labels in spans.items():
                alike.setdefault(tuple(labels), []).append(name)
            for where, series in alike.items():
                yield self._gap(f"series {_some(series)}", GapKind.UNAVAILABLE, detail, hint, where)

    def _lost(self, want: Want, label: str) -> Iterator[tuple[str, str]]:
        """Yield (series, what is the matter) for what one want lacks in one span."""
        account = self._accounts.get((label, id(want)), _Account())
        if not account.came:
            # What a dashboard found may have ended long ago, as a disk that was taken out: no gap for each.
            if not account.failed and want.text not in self._spared and not want.metric.found:
                yield want.text, _NOTHING if account.empty else _ABSENT
            return
        if not account.failed:
            gone = self._listed.get(id(want), set()) - account.came - account.empty
            yield from (
                (name, "the server lists it but gives nothing for it; perhaps a damaged file") for name in sorted(gone)
            )
        if not want.metric.rank and not want.metric.found and len(want.targets) == 1:
            yield from ((name, _NOTHING) for name in sorted(account.empty - account.came))

    def _gap(self, what: str, kind: GapKind, detail: str, hint: str = "", labels: Sequence[str] = ()) -> Gap:
        whole = not labels or len(labels) == len(self._labels)
        span = "" if whole else ", ".join(label or "window" for label in labels)
        return Gap(source=self._source, what=what, kind=kind, detail=detail, hint=hint, span=span)


def _some(names: Sequence[str]) -> str:
    """Return the first few names and the number of the others."""
    shown = ", ".join(line(name, 120) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"


def _hint(want: Want) -> str:
    if len(want.targets) > 1:
        return "also tried with the dots of the host's name as they are"
    return ""
