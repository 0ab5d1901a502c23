"""What was asked for and did not come: a Gap for each target, not for each request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from opsbrief.errors import GapKind, SourceError
from opsbrief.graphite.answer import Points
from opsbrief.graphite.plan import Ask, Plan, Want
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Span, Window
from opsbrief.text import line

_NAMED = 5  # names in one gap; the number of the others is said


@dataclass(slots=True)
class _Account:
    """One want in one span."""

    came: set[str] = field(default_factory=set)  # with at least one datapoint
    empty: set[str] = field(default_factory=set)  # came without any
    failed: bool = False  # a part of it was refused, which is said elsewhere


class Tally:
    """Keeps account while the answers come in; says at the end what is missing."""

    def __init__(self, source: str, wanted: Sequence[Want], plan: Plan, window: Window) -> None:
        """Begin with nothing arrived."""
        self._source = source
        self._wanted = wanted
        self._named = plan.named
        self._listed: dict[int, set[str]] = {}
        for ask in (ask for group in plan.groups for ask in group if ask.listed):
            self._listed.setdefault(id(ask.want), set()).update(ask.names)
        self._accounts: dict[tuple[str, int], _Account] = {}
        self._labels = [span.label for span in window.spans()]
        self._netted: set[tuple[str, str]] = set()
        self._errors: dict[tuple[str, GapKind, str, str], list[str]] = {}
        self._infinite: dict[str, int] = {}

    def _account(self, span: Span, want: Want) -> _Account:
        return self._accounts.setdefault((span.label, id(want)), _Account())

    def takes(self, span: Span, want: Want, points: Points, *, again: bool) -> bool:
        """Note a series that came for ``want``; return whether it is new.

        It is not when it has no datapoint, when it came before (unless ``again``: functions may give several
        series one name), or when a wide net brings what was asked for anyway.
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
        for want in self._wanted:
            yield from self._missing(want)
        for name, count in self._infinite.items():
            detail = f"{count:,} infinite values taken as missing"
            yield self._gap(f"series {line(name)}", GapKind.BAD_ANSWER, detail)

    def _refused(self) -> Iterator[Gap]:
        """Yield what the server refused; the same refusal in several spans is one gap."""
        merged: dict[tuple[GapKind, str, str, tuple[str, ...]], list[str]] = {}
        for (label, kind, message, hint), names in self._errors.items():
            merged.setdefault((kind, message, hint, tuple(dict.fromkeys(names))), []).append(label)
        for (kind, message, hint, series), labels in merged.items():
            yield self._gap(f"series {_some(series)}", kind, message, hint, labels)

    def _missing(self, want: Want) -> Iterator[Gap]:
        """Yield what did not come for one want and was not refused either."""
        lacking: dict[tuple[str, str], list[str]] = {}
        for label in self._labels:
            account = self._accounts.get((label, id(want)), _Account())
            listed = self._listed.get(id(want), set())
            lost = listed - account.came - account.empty
            if not account.came and not account.failed:
                detail = "no datapoint in this span" if account.empty else "no such series, or nothing in this span"
                lacking.setdefault((want.text, detail), []).append(label)
                continue
            if lost and not account.failed:
                detail = "the server lists it but gives nothing for it; perhaps a damaged file"
                lacking.setdefault((_some(sorted(lost)), detail), []).append(label)
            if account.empty - account.came and not want.metric.rank and len(want.targets) == 1:
                names = _some(sorted(account.empty - account.came))
                lacking.setdefault((names, "no datapoint in this span"), []).append(label)
        for (what, detail), labels in lacking.items():
            yield self._gap(f"series {line(what)}", GapKind.UNAVAILABLE, detail, _hint(want), labels)

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
        return f"also tried as {', '.join(target.text for target in want.targets[1:])}"
    return ""
