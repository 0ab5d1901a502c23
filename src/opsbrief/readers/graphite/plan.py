"""From the metrics of a scope to requests of a size that a server in trouble can bear. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap
from opsbrief.model.scope import Metric
from opsbrief.readers.graphite.target import Target, TargetError, matcher, parse, spread

NAMES = 100  # explicit names in one request: 1,000 are refused, and long lists cost the server's parser dearly
GROUP = 200  # series that several small globs may bring together in one request
LARGE = 400  # a glob of more series is asked for by name in pieces: one giant answer takes 0.5 GB over there


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One metric for one host (or for none): the ways to write it, any of which will do."""

    metric: Metric
    host: str
    targets: tuple[Target, ...]

    @property
    def text(self) -> str:
        """How to call it in a message."""
        return self.targets[0].text


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One target of a request, and the series it stands for."""

    target: str
    want: Want
    names: tuple[str, ...] = ()  # empty: not known
    listed: bool = False  # the server itself gave the names, so each of them exists
    plain: bool = True

    def divide(self) -> tuple["Ask", ...]:
        """Return one ask for each of its series, or nothing when there is no finer way to ask."""
        if len(self.names) < 2:
            return ()
        return tuple(replace(self, target=name, names=(name,)) for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The requests of one span."""

    groups: tuple[tuple[Ask, ...], ...]
    named: frozenset[str]  # series that metrics ask for by themselves, so that the wide nets need not
    spared: frozenset[str] = frozenset()  # targets whose series exist, but are asked for elsewhere or were cut
    gaps: tuple[Gap, ...] = ()


def wants(metrics: Iterable[Metric], hosts: Sequence[str], source: str) -> Iterator[Want | Gap]:
    """Yield what to ask for; a Gap for each target that cannot be asked as it is written."""
    for metric in metrics:
        if "{host}" in metric.target and not hosts:
            yield _refused(source, metric.target, "it has {host}, but the service names no hosts", "list them in hosts")
            continue
        for host, forms in spread(metric.target, hosts):
            try:
                targets = tuple(parse(form) for form in forms)
            except TargetError as error:
                yield _refused(source, metric.target, f"cannot be read: {error}", "check parentheses and quotes")
                break
            yield Want(metric=metric, host=host, targets=targets)


def _refused(source: str, target: str, detail: str, hint: str) -> Gap:
    return Gap(source=source, what=f"series {target}", kind=GapKind.REJECTED, detail=detail, hint=hint)


def globs(asked: Iterable[Want]) -> tuple[str, ...]:
    """Return the targets whose series are worth counting before they are fetched."""
    found = (target.text for want in asked for target in want.targets if target.plain and target.wild)
    return tuple(dict.fromkeys(found))


def plan(
    asked: Sequence[Want],
    known: Mapping[str, Sequence[str]],
    limit: int,
    source: str,
    noise: frozenset[str] = frozenset(),
) -> Plan:
    """Group what is wanted into requests for at most ``limit`` series.

    ``known`` maps globs to the names they match; a glob that is not in it is asked for blindly. Metrics that
    somebody named come first, the wide nets (``rank``) share what is left of the limit evenly, without ``noise``.
    """
    named: set[str] = set()
    netted: set[str] = set(noise)
    spared: set[str] = set()
    asks: list[Ask] = []
    gaps: list[Gap] = []
    for net in (False, True):
        matched = []
        for want, target in _targets(asked, net=net):
            names = tuple(name for name in _names(target, known) if not net or name not in named | netted)
            (netted if net else named).update(names)
            matched.append((want, target, names))
        granted = _share([names for _, _, names in matched], max(0, limit - _count(asks)))
        for (want, target, names), mine in zip(matched, granted, strict=True):
            if len(mine) < len(names):
                gaps.append(_cut(source, want, len(mine), len(names), limit))
            if not mine and known.get(target.text):
                spared.add(want.text)
            asks.extend(_asks(want, target, names, mine, known))
    return Plan(groups=tuple(_groups(asks)), named=frozenset(named) | noise, spared=frozenset(spared), gaps=tuple(gaps))


def _targets(asked: Sequence[Want], *, net: bool) -> Iterator[tuple[Want, Target]]:
    for want in asked:
        if want.metric.rank is net:
            for target in want.targets:
                yield want, target


def _names(target: Target, known: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if target.plain and not target.wild:
        return (target.text,)
    return known.get(target.text, ()) if target.plain else ()


def _share(lists: Sequence[Sequence[str]], room: int) -> list[tuple[str, ...]]:
    """Take ``room`` names out of the lists in turn, so that no host is cut in favour of another."""
    if sum(map(len, lists)) <= room:
        return [tuple(names) for names in lists]
    taken: list[list[str]] = [[] for _ in lists]
    left = room
    for turn in zip_longest(*lists):
        for index, name in enumerate(turn):
            if name is not None and left > 0:
                taken[index].append(name)
                left -= 1
    return [tuple(names) for names in taken]


def _cut(source: str, want: Want, kept: int, of: int, limit: int) -> Gap:
    return Gap(
        source=source,
        what=f"series {want.text}",
        kind=GapKind.TRUNCATED,
        detail=f"{of - kept:,} of {of:,} series not fetched: the limit is {limit:,} series in all",
        hint="narrow the target or raise max_series",
    )


def _asks(
    want: Want, target: Target, names: tuple[str, ...], mine: tuple[str, ...], known: Mapping[str, Sequence[str]]
) -> Iterator[Ask]:
    """Yield the asks for one target: the glob itself where it is neither cut nor large, else its names.

    A glob that brings a few series more than are wanted is still cheaper for the server than a list of names.
    """
    listed = target.plain and target.text in known
    whole = len(known.get(target.text, ()))
    if not target.plain or (target.wild and not listed):
        yield Ask(target=target.text, want=want, plain=target.plain)
    elif target.wild and len(mine) == len(names) and 0 < whole <= LARGE and len(mine) > 0.8 * whole:
        yield Ask(target=target.text, want=want, names=names, listed=True)
    else:
        for name in mine:
            yield Ask(target=name, want=want, names=(name,), listed=listed)


def _count(asks: Iterable[Ask]) -> int:
    return sum(max(1, len(ask.names)) for ask in asks)


def _groups(asks: Iterable[Ask]) -> Iterator[tuple[Ask, ...]]:
    """Put asks together whose answers can be told apart by name; the others go alone."""
    group: list[Ask] = []
    size = 0
    for ask in asks:
        if not ask.plain or not ask.names:
            yield (ask,)
            continue
        if group and (len(group) >= NAMES or size + len(ask.names) > GROUP):
            yield tuple(group)
            group, size = [], 0
        group.append(ask)
        size += len(ask.names)
    if group:
        yield tuple(group)


def halves(asks: tuple[Ask, ...]) -> tuple[tuple[Ask, ...], ...]:
    """Return the two halves of a request that failed, to find out which part of it is bad; () for one series."""
    if len(asks) == 1:
        asks = asks[0].divide()
    if len(asks) < 2:
        return ()
    half = len(asks) // 2
    return asks[:half], asks[half:]


class Takers:
    """Who takes a series that came for the asks of one request."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        """Index the asks by the names they stand for."""
        self._asks = asks
        self._by_name: dict[str, list[Ask]] = {}
        for ask in asks:
            for name in ask.names:
                self._by_name.setdefault(name, []).append(ask)

    def of(self, name: str) -> list[Ask]:
        """Return the asks that ``name`` answers, one for each want; the only one when the server renamed it."""
        found = self._by_name.get(name) or [
            ask for ask in self._asks if len(self._asks) == 1 or matcher(ask.target).match(name)
        ]
        return list({id(ask.want): ask for ask in found}.values())
