"""From the hosts of a service to what is asked for: the dashboard, found in a store of names.

Two questions find everything in the usual layouts, however many metrics the store has: where the hosts stand, and
what is there. Rarer layouts need one or two more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

import numpy as np

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap, Series
from opsbrief.model.scope import Dashboard, Metric
from opsbrief.model.window import Span, Window
from opsbrief.readers.collectd import heads, known
from opsbrief.readers.collectd.board import NET, Board, Member, fill
from opsbrief.readers.collectd.heads import Head
from opsbrief.readers.collectd.identity import Identity
from opsbrief.readers.collectd.layout import Layout, guess, learn, read, tagged
from opsbrief.readers.collectd.rates import any_growing, growing, rates
from opsbrief.readers.graphite.plan import Plan, Want
from opsbrief.readers.graphite.target import Target, TargetError, matcher, parse, tags_of
from opsbrief.text import line

Names = Callable[[Sequence[str], Literal["all", "leaves"]], Iterable[str]]  # globs -> names on their last level
Tags = Callable[[Sequence[str]], Iterable[str]]  # hosts -> names with tags
_VOTERS = 4  # kinds of busy counters by which it is told whether counters are stored raw
_BUSY = (
    "contextswitch",
    "cpu",
    "if_octets",
    "if_packets",
    "vmpage_faults",
    "disk_octets",
    "disk_ops",
    "irq",
    "fork_rate",
)
_NAMED = 5


@dataclass(slots=True)
class Survey:
    """What was found, and what is known of each series of it."""

    metrics: tuple[Metric, ...] = ()
    wants: tuple[Want, ...] = ()
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)  # glob -> names it stands for
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    members: dict[str, Member] = field(default_factory=dict)  # by name
    counters: dict[str, tuple[str, ...]] = field(default_factory=dict)  # where they stand -> the names of counters
    raw: set[str] = field(default_factory=set)  # names of counters that are stored as such
    heard: set[str] = field(default_factory=set)  # hosts of which something came for the window itself

    def noise(self, listed: Mapping[str, Sequence[str]], own: Sequence[Want]) -> tuple[frozenset[str], str]:
        """Return what the service's own wide nets need not rank of collectd's, and what is to be said of it."""
        nets = {target.text for want in own if want.metric.rank and not want.metric.found for target in want.targets}
        plugins: dict[str, set[str]] = {}
        for name in (name for text in nets for name in listed.get(text, ())):
            what = guess(name)
            if what and what.plugin in known.NOISE:
                plugins.setdefault(what.plugin, set()).add(name)
        names = frozenset(name for mine in plugins.values() for name in mine)
        said = f"{len(names):,} series of {_some(sorted(plugins))} not ranked (noise of collectd)" if names else ""
        return names, said

    def caught(self, plan: Plan) -> None:
        """Note what the service's own wide nets catch of collectd, so that its counters are known as such."""
        for ask in (ask for group in plan.groups for ask in group):
            if not ask.want.metric.rank or ask.want.metric.found:
                continue
            for name in ask.names:
                what = guess(name)
                if what and known.counter(what):
                    where = ask.want.metric.target
                    self.counters[where] = (*self.counters.get(where, ()), name)
                    self.members.setdefault(name, Member("", name, what))

    def voters(self) -> dict[str, tuple[str, ...]]:
        """Return, for each place, a few busy counters of it: their data tells whether counters are stored raw."""
        return {where: self._busiest(names) for where, names in self.counters.items()}

    def _busiest(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return counters that hardly ever stand still, several kinds of them."""
        order = {kind: place for place, kind in enumerate(_BUSY)}

        def key(name: str) -> tuple[int, bool, str]:
            what = self.members[name].what
            idle = what.type_instance not in {"", "user", "system"} or what.instance == "lo"
            return order.get(what.type, len(order)), idle, name

        kinds: dict[str, list[str]] = {}
        for name in sorted(names, key=key):
            kinds.setdefault(self.members[name].what.type, []).append(name)
        return tuple(name for mine in [*kinds.values()][:_VOTERS] for name in mine[:2])

    def judge(self, where: str, data: Iterable["np.typing.NDArray[np.float64]"]) -> str | None:
        """Take the data of a place's voters; return what is to be said when its counters are stored raw, else "".

        None where the data is too little to tell.
        """
        raw = any_growing(data)
        if not raw:
            return None if raw is None else ""
        self.raw.update(self.counters[where])
        count = len(self.counters[where])
        return f"{count:,} counters of {where} are stored raw (StoreRates false), shown as rates"

    def dress(self, series: Series, metric: Metric) -> Series:
        """Return the series with what collectd's types tell of it; values that somebody asked for stay as they are."""
        member = self.members.get(series.name)
        if member and not series.span:
            self.heard.add(member.host)
        what = member.what if member else guess(series.name)
        if what is None:
            return series
        unit, worse = known.unit(what), known.worse(what)
        values = series.values
        if series.name in self.raw and (metric.rank or metric.found):
            values = rates(values, series.step)
        elif known.counter(what) and growing(values):
            unit, worse = "", "either"  # a count, not a rate
        return replace(
            series,
            values=values,
            unit=series.unit or unit,
            worse=worse,
            host=(member.host if member else "") or series.host,
        )

    def silent(self, source: str) -> Iterator[Gap]:
        """Yield the hosts that have names, perhaps old ones, but gave nothing for the window."""
        hosts = {want.host for want in self.wants if want.host and want.metric.found}
        hosts |= {self.members[name].host for names in self.known.values() for name in names if name in self.members}
        if quiet := sorted(hosts - self.heard):
            detail = f"names of collectd for {_some(quiet)}, but no datapoint in the window"
            yield _gap(source, GapKind.UNAVAILABLE, detail, "does collectd run there?")


def stretches(window: Window) -> tuple[Span, ...]:
    """Return the stretches whose data tells whether counters are stored raw: the window, then the hour to its end.

    The first is enough where it has a few datapoints: an older one may be kept in coarser steps.
    """
    start = max(window.whole.start, window.end - timedelta(hours=6))
    return Span("", start, window.end), Span("", window.end - timedelta(hours=1), window.end)


def survey(
    board: Dashboard, hosts: Sequence[str], source: str, names: Names, own: Sequence[Want], tags: Tags
) -> Survey:
    """Find the dashboard's metrics in what a source lists. Raises what its questions raise.

    ``own`` are the metrics that the service names itself; the dashboard leaves them alone.
    """
    if not hosts:
        detail = "a dashboard finds the metrics of hosts, but the service names none"
        return Survey(gaps=(_gap(source, GapKind.REJECTED, detail, "list them in hosts"),))
    paths = [*names(heads.queries(hosts, plain=True), "all")]
    found = heads.find(paths, hosts, board.prefix)
    if found.absent:
        paths += names(heads.queries(hosts, plain=False), "all")
        found = heads.find(paths, hosts, board.prefix)
    trees = _trees(found.found, [*_below(found.found, names)]) if found.found else {}
    members = [member for tree in trees.values() for member in tree[1]]
    spread: dict[str, Head] = {head.host: head for head in found.found}
    missing = [host for host in hosts if host not in spread and host not in found.unclear]
    if missing:
        members += _tagged(missing, tags(missing))
        missing = [host for host in missing if host not in {member.host for member in members}]
    taken = [matcher(path) for want in own for target in want.targets if target.plain for path in target.paths
             if not want.metric.rank]  # fmt: skip
    mine = [member for member in members if not any(pattern.match(member.name) for pattern in taken)]
    filled = fill(mine, board)
    result = Survey(
        metrics=tuple(replace(metric, source=source) for metric in metrics(filled)),
        gaps=tuple(_gaps(source, found, missing)),
        notes=(*noted(filled), *_notes(trees)),
        members={member.name: member for member in members},
    )
    wants = [*_wants(filled, spread, result.known, source)]
    result.wants = tuple(wants)
    listed = [*(m for row in filled.rows for m in row.members), *filled.net]
    counters = tuple(member.name for member in listed if known.counter(member.what))
    result.counters = {"the dashboard": counters} if counters else {}
    return result


def metrics(filled: Board) -> Iterator[Metric]:
    """Yield the metrics of a dashboard, the wide net last."""
    yield from (row.metric for row in filled.rows)
    if filled.net:
        yield Metric(target="collectd", name=NET, rank=True, found=True)


def _below(found: Sequence[Head], names: Names) -> Iterator[str]:
    """Yield every name below the heads; the deep levels are asked for only where a layout has them."""
    shallow = [*names(heads.leaves(found, (2, 3)), "leaves")]
    yield from shallow
    first = found[0].text
    layout = learn(name[len(first) + 1 :] for name in shallow if name.startswith(f"{first}."))
    if layout != Layout() or any("." in _word(head) for head in found):
        yield from names(heads.leaves(found, (4, 5)), "leaves")


def _trees(found: Sequence[Head], names: Iterable[str]) -> dict[tuple[str, str], tuple[Layout, list[Member], int]]:
    """Return for each prefix and postfix its layout, what is there, and how many names were not understood."""
    below: dict[str, list[str]] = {head.text: [] for head in found}
    for name in names:
        levels = name.split(".")
        for end in range(1, len(levels)):
            if (text := ".".join(levels[:end])) in below:
                below[text].append(name)
                break
    trees: dict[tuple[str, str], tuple[Layout, list[Member], int]] = {}
    for tree in dict.fromkeys((head.prefix, head.postfix) for head in found):
        mine = [head for head in found if (head.prefix, head.postfix) == tree]
        tails = {name: (head.host, name[len(head.text) + 1 :]) for head in mine for name in below[head.text]}
        layout = learn(tail for _, tail in tails.values())
        members, strange = [], 0
        for name, (host, tail) in tails.items():
            what = read(tail, layout)
            strange += what is None
            members.append(Member(host, name, what or Identity(tail.partition(".")[0], "", "", tail)))
        trees[tree] = (layout, members, strange)
    return trees


def _tagged(hosts: Sequence[str], names: Iterable[str]) -> Iterator[Member]:
    """Yield the metrics of hosts whose names say everything in tags."""
    for name in names:
        tags = tags_of(name)
        host = next(
            (host for host in hosts if tags.get("host", "").lower() in {host.lower(), host.partition(".")[0]}), ""
        )
        what = tagged(tags, name.partition(";")[0])
        if host and what:
            yield Member(host, name, what)


def _wants(
    filled: Board, spread: Mapping[str, Head], listed: dict[str, tuple[str, ...]], source: str
) -> Iterator[Want]:
    """Yield what to ask for: a name, or a glob over the hosts where it is the same on several of them."""
    for row in filled.rows:
        tails: dict[str, list[Member]] = {}
        for member in row.members:
            head = spread.get(member.host)
            tail = member.name[len(head.text) :] if head else member.name
            tails.setdefault(f"{head.prefix}*{head.postfix}{tail}" if head else tail, []).append(member)
        for mine in tails.values():
            yield from _row(replace(row.metric, source=source), mine, spread, listed)
    nets: dict[tuple[str, int], list[str]] = {}
    metric = Metric(target="collectd", name=NET, rank=True, found=True, source=source)
    for member in filled.net:
        head = spread.get(member.host)
        if head is None:
            yield from _asked(metric, member.host, member.name)
        else:
            depth = member.name[len(head.text) + 1 :].count(".")
            nets.setdefault((member.host, depth), []).append(member.name)
    for (host, depth), names in nets.items():
        head = spread[host]
        first = sorted({name[len(head.text) + 1 :].partition(".")[0] for name in names})
        glob = (
            f"{head.text}.{{{','.join(first)}}}{'.*' * depth}"
            if len(first) > 1
            else f"{head.text}.{first[0]}{'.*' * depth}"
        )
        for want in _asked(metric, host, glob):
            listed[glob] = tuple(sorted(names))
            yield want


def _row(
    metric: Metric, mine: Sequence[Member], spread: Mapping[str, Head], listed: dict[str, tuple[str, ...]]
) -> Iterator[Want]:
    head = spread.get(mine[0].host)
    words = [_word(spread[member.host]) for member in mine if member.host in spread]
    if len(mine) == 1 or head is None or any("." in word for word in words):
        for member in mine:
            yield from _asked(metric, member.host, member.name)
        return
    tail = mine[0].name[len(head.text) :]
    glob = f"{head.prefix}{{{','.join(sorted(words))}}}{head.postfix}{tail}"
    for want in _asked(metric, "", glob):
        listed[glob] = tuple(sorted(member.name for member in mine))
        yield want


def _word(head: Head) -> str:
    return head.text[len(head.prefix) : len(head.text) - len(head.postfix)]


def _asked(metric: Metric, host: str, text: str) -> Iterator[Want]:
    try:
        target = parse(text)
    except TargetError:
        return  # a name that Graphite itself could not be asked for
    if target.plain:
        yield Want(metric=metric, host=host, targets=(Target(text, (text,), ()),))


def _gap(source: str, kind: GapKind, detail: str, hint: str = "", what: str = "dashboard collectd") -> Gap:
    return Gap(source=source, what=what, kind=kind, detail=detail, hint=hint)


def _gaps(source: str, found: heads.Heads, missing: Sequence[str]) -> Iterator[Gap]:
    if missing:
        detail = f"no names of collectd for {_some(missing)}"
        hint = "are the hosts named as collectd names them? a metric with a target of its own is found without"
        yield _gap(source, GapKind.UNAVAILABLE, detail, hint)
    for host, texts in found.unclear.items():
        detail = f"which of these {line(host, 100)} is cannot be told: {_some(texts)}"
        hint = "give the host's whole name, or say what stands before it: dashboard: {kind: collectd, prefix: ...}"
        yield _gap(source, GapKind.REJECTED, detail, hint)
    if found.others and found.found:
        mine = _some(sorted({head.prefix or "(no prefix)" for head in found.found}))
        detail = f"the hosts stand under several prefixes: {mine} was taken, not {_some(found.others)}"
        hint = "say which one is meant: dashboard: {kind: collectd, prefix: ...}"
        yield _gap(source, GapKind.SKIPPED, detail, hint)


def noted(filled: Board) -> Iterator[str]:
    """Yield what whoever reads the brief must know of a dashboard: what it leaves out."""
    if filled.noise:
        yield f"{sum(filled.noise.values()):,} series of {_some(list(filled.noise))} not ranked (noise of collectd)"
    if filled.ports:
        said = "dashboard: {ports: [...]} names those that matter"
        yield f"{len(filled.ports)} ports of tcpconns, none looked at by itself; {said}"


def _notes(trees: Mapping[tuple[str, str], tuple[Layout, list[Member], int]]) -> Iterator[str]:
    for (prefix, _), (layout, _, strange) in trees.items():
        where = line(prefix, 60) or "no prefix"
        if layout.mixed:
            yield f"names of two layouts stand under {where}, read as {layout}"
        if strange:
            yield f"{strange:,} names of unknown plugins under {where}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(line(name, 80) or "(none)" for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"
