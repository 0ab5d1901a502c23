"""Under which names collectd's hosts stand: what is before the plugin in a name, found for the hosts of a service.

A host is written with its dots as underscores (or another EscapeCharacter, or as levels of their own), backwards
(ReverseHost), or by its first label alone; a prefix and a postfix may be glued to it. Where more than one reading
is left, none is chosen in silence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: Plugins by which the hosts of collectd are found; hardly one is without any of them.
ANCHORS: Final = (
    "load", "memory", "cpu", "df", "swap", "processes", "tcpconns", "interface", "disk", "uptime", "users",
    "contextswitch", "vmem", "irq", "entropy", "GenericJMX", "aggregation", "statsd",
)  # fmt: skip
#: Those of them that are asked for: each costs the server something.
_ASKED: Final = ("load", "memory", "cpu*", "df*", "processes*", "tcpconns*", "uptime", "GenericJMX*")
_PREFIX: Final = 4  # levels that may stand before the host
_DOMAIN: Final = 4  # levels from a first label to its plugins, where the rest of the host's name is not known
_HOSTS: Final = 40  # hosts in one query
_PLAIN: Final = re.compile(r"[^*?\[\]{},\\\s]+")
_END: Final = r"(?![A-Za-z0-9])"


@dataclass(frozen=True, slots=True)
class Head:
    """Where one host stands: its names begin with ``text`` and a dot."""

    host: str
    text: str
    prefix: str
    postfix: str
    short: bool = False  # found by the first label of the host's name alone


@dataclass(frozen=True, slots=True)
class Heads:
    """What was found for the hosts of a service."""

    found: tuple[Head, ...] = ()
    absent: tuple[str, ...] = ()  # hosts that stand nowhere
    unclear: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # host -> heads of which none is surely it
    others: tuple[str, ...] = ()  # prefixes under which the hosts stand too


def queries(hosts: Sequence[str], *, plain: bool) -> tuple[str, ...]:
    """Return the globs whose answers, branches included, hold plugins of the hosts wherever they stand.

    ``plain`` for hosts that are one level and have no postfix, as most are: the others cost a server much more.
    """
    anchors = _either(_ASKED)
    domains: dict[str, set[str]] = {}
    for host in hosts:
        if _PLAIN.fullmatch(host):
            label, _, domain = host.partition(".")
            domains.setdefault(domain, set()).add(label)
    found = []
    for domain, labels in domains.items():
        ordered = sorted(labels)
        for at in range(0, len(ordered), _HOSTS):
            name = _either([f"*{label}*" for label in ordered[at : at + _HOSTS]])
            ways = [name] if plain else [name + ".*" * behind for behind in range(1, 2 if domain else _DOMAIN)]
            if domain and not plain:  # its dots are levels
                dotted = f"{_either([f'*{label}' for label in ordered[at : at + _HOSTS]])}.{domain}"
                ways += [f"{dotted}*", f"{dotted}*.*"]
            found += [f"{'*.' * before}{way}.{anchors}" for before in range(_PREFIX) for way in ways]
    return tuple(dict.fromkeys(found))


def _either(words: Sequence[str]) -> str:
    return "{" + ",".join(words) + "}" if len(words) > 1 else words[0]


def find(paths: Iterable[str], hosts: Sequence[str], prefix: str = "") -> Heads:
    """Return where the hosts stand, of what the queries brought; with ``prefix``, only under that one."""
    counts = dict(_candidates(paths))
    readings = {host: _readings(host, counts, prefix) for host in hosts}
    every = [head for heads in readings.values() for head in heads]
    trees = dict.fromkeys((head.prefix, head.postfix) for head in every)
    size = {tree: [h for h in every if (h.prefix, h.postfix) == tree] for tree in trees}
    order = sorted(
        trees, key=lambda tree: (-len(size[tree]), -sum(counts[h.text] for h in size[tree]), len("".join(tree)), tree)
    )
    found: list[Head] = []
    unclear: dict[str, tuple[str, ...]] = {}
    for host, heads in readings.items():
        if not heads:
            continue
        best = next(tree for tree in order if any((head.prefix, head.postfix) == tree for head in heads))
        mine = [head for head in heads if head.prefix == best[0]]
        agreed = len({head.host for head in size[best]}) > 1
        if len(mine) == 1 and (_framed(mine[0]) or prefix or agreed or _named(mine[0])):
            found.append(mine[0])
        else:
            unclear[host] = tuple(sorted(head.text for head in mine))
    taken = {head.prefix for head in found}
    others = dict.fromkeys(tree[0] for tree in order if tree[0] not in taken) if found else ()
    absent = tuple(host for host, heads in readings.items() if not heads)
    return Heads(found=tuple(found), absent=absent, unclear=unclear, others=tuple(others))


def _candidates(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield (head, how many plugins it has); not what lies below a plugin that is called like another."""
    plugins: dict[str, set[str]] = {}
    whole = set()
    for path in paths:
        head, dot, plugin = path.rstrip(".").rpartition(".")
        if dot and plugin.partition("-")[0] in ANCHORS:
            plugins.setdefault(head, set()).add(plugin)
            whole.add(path.rstrip("."))
    for head, mine in sorted(plugins.items()):
        above = head.split(".")
        if not any(".".join(above[:end]) in whole for end in range(2, len(above) + 1)):
            yield head, len(mine)


def _readings(host: str, counts: Mapping[str, int], prefix: str) -> list[Head]:
    """Return the heads that name the host in the surest way there is."""
    for pattern, whole, short in _ways(host):
        heads = []
        for text in counts:
            for match in pattern.finditer(text):
                head = Head(host, text, text[: match.start("host")], text[match.end("host") :], short)
                if whole and not _framed(head):
                    continue
                if not prefix or head.prefix in {prefix, f"{prefix}."}:
                    heads.append(head)
                    break
        if heads:
            return heads
    return []


def _framed(head: Head) -> bool:
    """Whether the host is parted from prefix and postfix by a dot."""
    return head.prefix[-1:] in {"", "."} and head.postfix[:1] in {"", "."}


def _named(head: Head) -> bool:
    """Whether what is glued to the host is surely no part of another host's name."""
    glued = head.prefix.rpartition(".")[2] + head.postfix.partition(".")[0]
    return "collectd" in glued.lower()


def _ways(host: str) -> Iterator[tuple[re.Pattern[str], bool, bool]]:
    """Yield (pattern with the group "host", must it be framed by dots, is it the short name), the surest first."""
    labels = [re.escape(label) for label in host.split(".")]
    names = [r"[^A-Za-z0-9]".join(labels), r"[^A-Za-z0-9]".join(reversed(labels))]
    if len(labels) == 1:
        yield re.compile(rf"(?P<host>{names[0]})"), True, False
        # The long name of a host that the service calls by its first label: as one level, then as several.
        yield re.compile(rf"(?:^|(?<=\.))(?P<host>{names[0]}[_:][A-Za-z0-9_:-]+)(?=\.|$)"), True, True
        yield re.compile(rf"(?:^|(?<=\.))(?P<host>{names[0]}(?:\.[A-Za-z0-9_-]+)+)$"), True, True
        yield re.compile(rf"(?P<host>{names[0]}){_END}"), False, True
        return
    for name in names:
        yield re.compile(rf"(?P<host>{name})"), True, False
    for name in names:
        yield re.compile(rf"(?P<host>{name}){_END}"), False, False
    yield re.compile(rf"(?:^|(?<=\.))(?P<host>{labels[0]})$"), True, True


def leaves(heads: Iterable[Head], depths: Iterable[int]) -> tuple[str, ...]:
    """Return the globs for the names so many levels below the heads; those under one parent are asked together."""
    depths = tuple(depths)
    parents: dict[str, list[str]] = {}
    for head in heads:
        if _PLAIN.fullmatch(head.text):
            above, dot, last = head.text.rpartition(".")
            parents.setdefault(above + dot, []).append(last)
    found = []
    for above, lasts in parents.items():
        for at in range(0, len(lasts), _HOSTS):
            some = sorted(set(lasts[at : at + _HOSTS]))
            found += [f"{above}{_either(some)}{'.*' * depth}" for depth in depths]
    return tuple(found)
