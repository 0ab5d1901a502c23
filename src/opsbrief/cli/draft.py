"""A first configuration from a few answers: what Graphite knows, and the commented YAML; for ``init``."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

#: metrics by which collectd's hosts are seen
COLLECTD = ("load.load.shortterm", "tcpconns-*-local.tcp_connections-ESTABLISHED", "memory.memory-used")
_PREFIXES = ("collectd.*", "*", "*.*", "*.*.*")
_PLAIN = re.compile(r"[A-Za-z0-9/~.][A-Za-z0-9_./~:@+-]*(?<!:)")
_UNSAFE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")  # \\x00 to \\x1f json escapes itself
_NULLS = frozenset({"~", "null", "Null", "NULL"})
_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)")

Find = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server's address and how to log in; the secret by the name of its environment variable."""

    url: str
    user: str = ""
    variable: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Everything ``init`` asks."""

    service: str
    timezone: str = ""
    graphite: Server | None = None
    whisper: str = ""
    elasticsearch: Server | None = None
    index: str = ""
    logs: str = ""
    repository: str = ""
    infrastructure: tuple[str, ...] = ()
    deploy_log: str = ""
    hosts: tuple[str, ...] = ()
    query: str = ""
    targets: tuple[str, ...] = ()
    dashboard: bool = False  # collectd's names were seen


def discover(find: Find) -> tuple[str, tuple[str, ...]]:
    """Return (prefix, hosts) of the collectd tree with the most hosts; ("", ()) when none is seen.

    ``prefix`` is what stands before the host, with its dot.
    """
    trees: dict[str, set[str]] = {}
    for before in _PREFIXES:
        for tail in COLLECTD:
            for name in find(f"{before}.{tail}"):
                parts = name.rstrip(".").split(".")
                own = len(parts) - len(tail.split("."))
                prefix = "".join(f"{part}." for part in parts[: own - 1])
                trees.setdefault(prefix, set()).add(parts[own - 1])
        if trees:
            break
    if not trees:
        return "", ()
    prefix, hosts = max(sorted(trees.items()), key=lambda tree: len(tree[1]))
    return prefix, tuple(sorted(hosts, key=_natural))


def _natural(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]


def compress(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return host names with runs of three and more numbers written short: app1 ... app8 as ``app{1..8}``."""
    parts = {host: found.groups() if (found := _NUMBERED.fullmatch(host)) else (host, "", "") for host in hosts}
    padded = {(stem, tail, len(digits)) for stem, digits, tail in parts.values() if digits.startswith("0")}

    def family(host: str) -> tuple[str, str, int]:
        stem, digits, tail = parts[host]
        return stem, tail, len(digits) if (stem, tail, len(digits)) in padded else 0

    short: list[str] = []
    for (stem, tail, width), group in groupby(sorted(parts, key=lambda host: (family(host), _natural(host))), family):
        names = list(group)
        numbers = [int(parts[name][1]) for name in names if parts[name][1]]
        if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            short.append(f"{stem}{{{numbers[0]:0{width}}..{numbers[-1]:0{width}}}}{tail}")
        else:
            short += names
    return tuple(short)


def text(answers: Answers) -> str:
    """Return the YAML."""
    return "\n".join([*_head(answers), *_sources(answers), *_deploys(answers), *_service(answers)]) + "\n"


def quote(value: str) -> str:
    """Return a text as YAML: bare where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(value) and value not in _NULLS:
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """Return a text in double quotes; what may not stand in a YAML file is escaped."""
    return _UNSAFE.sub(lambda found: f"\\U{ord(found.group()):08x}", json.dumps(value, ensure_ascii=False))


def _head(answers: Answers) -> Iterator[str]:
    yield "# Written by 'opsbrief init'. 'opsbrief check' asks every source for live data,"
    yield "# 'opsbrief sources' lists all types of source and their options,"
    yield "# 'opsbrief config schema' prints a JSON Schema for your editor."
    yield "version: 1"
    if answers.timezone:
        yield f"timezone: {quote(answers.timezone)}   # for what people read; computing is in UTC"
    yield ""


def _sources(answers: Answers) -> Iterator[str]:
    yield "sources:"
    if answers.graphite:
        yield from _server("graphite", "graphite", answers.graphite)
    if answers.whisper:
        yield from ("  graphite:", "    type: whisper", f"    path: {quote(answers.whisper)}")
    if answers.elasticsearch:
        yield from _server("logs", "elasticsearch", answers.elasticsearch)
        yield f"    index: {quote(answers.index or 'logstash-*')}"
    if answers.logs:
        yield from ("  logs:", "    type: logfile", f"    path: {quote(answers.logs)}")
    if answers.repository:
        yield from _repository(_release(answers), answers.repository, "application")
        yield '    deploy_tags: "v*"   # tags that are deploys'
    for name, path in zip(_grounds(answers), answers.infrastructure, strict=True):
        yield from _repository(name, path, "infrastructure")
    if answers.deploy_log:
        yield from ("  deploylog:", "    type: deploylog", f"    path: {quote(answers.deploy_log)}")
    yield ""


def _server(name: str, kind: str, server: Server) -> Iterator[str]:
    yield from (f"  {name}:", f"    type: {kind}", f"    url: {quote(server.url)}")
    if server.variable:
        # Only the name of the variable: the secret itself never stands in a file.
        pair = f"user: {quote(server.user)}, password" if server.user else "bearer"
        yield f"    auth: {{{pair}: {{env: {server.variable}}}}}"
    if server.ca_file:
        yield f"    tls: {{ca_file: {quote(server.ca_file)}}}"


def _repository(name: str, path: str, role: str) -> Iterator[str]:
    yield from (f"  {name}:", "    type: git", f"    path: {quote(path)}", f"    role: {role}")


def _release(answers: Answers) -> str:
    return "code" if answers.service in {"graphite", "logs", "deploylog"} else answers.service


def _grounds(answers: Answers) -> tuple[str, ...]:
    count = len(answers.infrastructure)
    return ("infrastructure",) if count == 1 else tuple(f"infrastructure{number + 1}" for number in range(count))


def _deploys(answers: Answers) -> Iterator[str]:
    logs = [*(["deploylog"] if answers.deploy_log else []), *([_release(answers)] if answers.repository else [])]
    if logs:
        yield "# Who knows when something was deployed, asked in this order by --since deploy."
        yield f"deploys: [{', '.join(logs)}]"
        yield ""


def _service(answers: Answers) -> Iterator[str]:
    yield "services:"
    yield f"  {answers.service}:"
    hosts = ", ".join(quoted(host) for host in answers.hosts)
    yield f"    hosts: [{hosts}]" + ("" if hosts else '   # e.g. ["app{1..8}"]')
    if answers.graphite or answers.whisper:
        yield from _metrics(answers)
    if answers.query:
        yield f"    logs: {{query: {quoted(answers.query)}}}"


def _metrics(answers: Answers) -> Iterator[str]:
    if answers.dashboard:
        yield "    # Finds what collectd writes about the hosts: connections, load, memory, disks; the rest is ranked."
        yield "    # {kind: collectd, ports: [8080]} names the port that matters; 'opsbrief check' says what was found."
        yield "    dashboard: collectd"
        if not answers.targets:
            return
    yield "    # worse: up|down says which direction is bad; limit: draws a line; key: true is drawn first."
    if not answers.targets:
        yield '    metrics: []   # e.g. {target: "collectd.{host}.load.load.shortterm", name: load, worse: up}'
        return
    yield "    metrics:"
    for number, target in enumerate(answers.targets):
        yield f"      - target: {quoted(target)}"
        if number == 0:
            yield "        key: true"
