"""Find the files, lay them over each other, build the configuration; every mistake at once."""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from opsbrief import sources as catalogue
from opsbrief.config.check import BUILT_IN, Checker
from opsbrief.config.layers import environment, find, overlay, tree
from opsbrief.config.option import suggest
from opsbrief.config.tree import Items, Keys, Mark, Node, Table, Text, kind
from opsbrief.config.values import Config, Service, ServiceOptions, Sourced
from opsbrief.errors import ConfigError, OpsbriefError, Problem
from opsbrief.model.scope import Dashboard, Scope
from opsbrief.settings import Defaults, Deliver, Redact
from opsbrief.source import DeployLog, MarkLog, Source
from opsbrief.text import line

T = TypeVar("T")

SECTIONS = ("version", "timezone", "defaults", "sources", "deploys", "marks", "services", "redact", "deliver")
_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def load(files: Sequence[Path] | None, env: Mapping[str, str], cwd: Path | None = None) -> Config:
    """Read the configuration: the environment over ./opsbrief.yaml over the user's file over built-in values.

    ``files`` (or OPSBRIEF_CONFIG) replaces the search; later ones lie over earlier ones. Without any file
    the built-in values hold. Raises ConfigError with every mistake found.
    """
    found, searched = find(files, env, cwd or Path.cwd())
    checker = Checker(env)
    trees = [made for file in found if (made := tree(file, checker, required=files is not None)) is not None]
    if checker.problems and not trees:
        raise ConfigError(*checker.problems)
    root = overlay([environment(env), *trees])
    config = _Reader(checker, root, env).config()
    for one in trees:
        _trust(checker, one, searched=files is None and not env.get("OPSBRIEF_CONFIG"))
    if checker.problems:
        raise ConfigError(*sorted(checker.problems, key=_order))
    return replace(
        config,
        files=tuple(made.mark.file.path for made in trees if made.mark.file.path),
        searched=searched,
        settings=tuple(checker.settings),
        references=tuple(checker.secrets),
    )


class _Reader:
    """Builds each section of the laid-over tree."""

    def __init__(self, checker: Checker, root: Table, env: Mapping[str, str]) -> None:
        self.check = checker
        self.root = root
        self._env = env

    def config(self) -> Config:
        for key, (mark, _) in self.root.entries.items():
            if key not in SECTIONS:
                self.check.wrong(mark, (), f"unknown option {line(key, 80)!r}", suggest(key, SECTIONS, "options"))
        self._version()
        zone = self._timezone()
        defaults = self._section("defaults", Defaults)
        sources = self._sources(defaults)
        deploys = self._deploys(sources)
        config = Config(
            timezone=zone,
            defaults=defaults,
            sources=sources,
            deploys=deploys,
            marks=tuple(self._marks(sources)),
            services=self._services(),
            redact=self._section("redact", Redact),
            deliver=self._section("deliver", Deliver),
        )
        if not self.check.problems and sources and not deploys and "deploys" not in self.root.entries:
            self.check.note(("deploys",), [], BUILT_IN)
        return config

    def _node(self, key: str) -> Node:
        mark = self.root.mark
        node = self.root.entries.get(key, (mark, Table(mark)))[1]
        return Table(node.mark) if isinstance(node, Text) and node.empty else node

    def _table(self, key: str) -> Table:
        node = self._node(key)
        if isinstance(node, Table):
            return node
        self.check.wrong(node.mark, (key,), f"must be a mapping of names, not {kind(node)}", "write NAME: {…}")
        return Table(node.mark)

    def _version(self) -> None:
        node = self.root.entries.get("version", (None, None))[1]
        if node is None:
            self.check.note(("version",), 1, BUILT_IN)
        else:
            self.check.value(Literal[1], node, ("version",))

    def _timezone(self) -> str:
        node = self.root.entries.get("timezone", (None, None))[1]
        if node is None:
            zone, where = _system_zone(self._env)
            self.check.note(("timezone",), zone, where)
            return zone
        name = self.check.value(str, node, ("timezone",))
        if not isinstance(name, str):
            return "UTC"
        try:
            return ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            from zoneinfo import available_timezones  # noqa: PLC0415 - reads 600 files; only for a mistake

            near = suggest(name, sorted(available_timezones())).partition(" known:")[0]
            hint = near if near.startswith("did") else "e.g. Europe/Berlin or UTC"
            self.check.wrong(node.mark, ("timezone",), f"there is no time zone {line(name, 60)!r}", hint)
            return "UTC"

    def _section(self, key: str, cls: type[T]) -> T:
        return self.check.build(cls, self._node(key), (key,)) or _bare(cls)

    def _sources(self, defaults: Defaults) -> dict[str, Sourced]:
        where = next((s.where for s in self.check.settings if s.path == ("defaults", "timeout")), "")
        fallback = {"timeout": (defaults.timeout, f"defaults.timeout, {where}")} if defaults.timeout else {}
        made: dict[str, Sourced] = {}
        for name, (mark, node) in self._table("sources").entries.items():
            path = ("sources", name)
            if not self._named(name, mark, path) or (cls := self._kind(node, path)) is None:
                continue
            source = self.check.build(cls[1], node, path, given={"name": name}, fallback=fallback, also=("type",))
            if source is not None:
                made[name] = (cls[0], source)
        return made

    def _named(self, name: str, mark: Mark, path: Keys) -> bool:
        if _NAMES.fullmatch(name):
            return True
        self.check.wrong(
            mark, path[:1], f"{line(name, 40)!r} is no name", "letters, digits, '.', '_' and '-'; 64 at most"
        )
        return False

    def _kind(self, node: Node, path: Keys) -> tuple[str, type[Source]] | None:
        if not isinstance(node, Table):
            self.check.wrong(node.mark, path, f"must be a mapping, not {kind(node)}", "write {type: TYPE, …}")
            return None
        mark, value = node.entries.get("type", (node.mark, None))
        if value is None:
            self.check.wrong(mark, path, "'type' is missing", f"one of {', '.join(catalogue.kinds())}")
            return None
        name = self.check.value(str, value, (*path, "type"))
        if not isinstance(name, str):
            return None
        if not catalogue.known(name):
            self.check.wrong(
                value.mark, (*path, "type"), f"there is no type {line(name, 60)!r}", suggest(name, catalogue.kinds())
            )
            return None
        try:
            return name, catalogue.load(name)
        except (ImportError, AttributeError, SyntaxError, OpsbriefError) as error:  # a plug-in may be anything
            self.check.wrong(value.mark, (*path, "type"), f"the type {name!r} cannot be loaded: {line(str(error))}")
            return None

    def _deploys(self, sources: Mapping[str, Sourced]) -> tuple[Sourced, ...]:
        node = self.root.entries.get("deploys", (None, None))[1]
        if node is None or (isinstance(node, Text) and node.empty):
            # Tags of an infrastructure repository are no releases of the application.
            logs = [
                (kind, source)
                for kind, source in sources.values()
                if isinstance(source, DeployLog) and source.role != "infrastructure" and _set_up(source)
            ]
            for index, (_, source) in enumerate(logs):
                self.check.note(("deploys", index), source.name, f"{BUILT_IN}: every source that knows deploys")
            return tuple(logs)
        if not isinstance(node, Items):
            self.check.wrong(node.mark, ("deploys",), f"must be a list, not {kind(node)}", "write [NAME, …]")
            return ()
        return tuple(self._deploy_items(node, sources))

    def _deploy_items(self, node: Items, sources: Mapping[str, Sourced]) -> Iterator[Sourced]:
        for index, item in enumerate(node.items):
            path: Keys = ("deploys", index)
            name: Any = item
            if isinstance(item, Table):
                if "source" not in item.entries:
                    self.check.wrong(item.mark, path, "'source' is missing", "write {source: NAME, …}")
                    continue
                name, path = item.entries["source"][1], (*path, "source")
            chosen = self._chosen(name, path, sources)
            if chosen is None:
                continue
            if not isinstance(item, Table):
                yield chosen
                continue
            kind_, source = chosen
            changed = self.check.fields(type(source), item, path[:2], also=("source",))
            try:
                yield kind_, replace(source, **(changed or {}))
            except (ValueError, OpsbriefError) as error:
                self.check.wrong(item.mark, path[:2], line(str(error)))

    def _chosen(self, node: Node, path: Keys, sources: Mapping[str, Sourced]) -> Sourced | None:
        name = self.check.value(str, node, path)
        if not isinstance(name, str):
            return None
        if name not in self._table("sources").entries:
            known = [key for key, (_, source) in sources.items() if "deploys" in source.gives]
            self._missing(Text(node.mark, name), path, "source", known)
            return None
        if name not in sources:
            return None  # its own problems are noted
        kind_, source = sources[name]
        if not isinstance(source, DeployLog):
            self.check.wrong(node.mark, path, f"{name!r} ({kind_}) knows no deploys")
            return None
        return kind_, source

    def _marks(self, sources: Mapping[str, Sourced]) -> Iterator[Sourced]:
        node = self._node("marks")
        names: Sequence[Node] = node.items if isinstance(node, Items) else [node] if isinstance(node, Text) else ()
        if isinstance(node, Table) and node.entries:
            self.check.wrong(node.mark, ("marks",), f"must be a list, not {kind(node)}", "write [NAME, …]")
        able = [name for name, (_, source) in sources.items() if isinstance(source, MarkLog)]
        for index, item in enumerate(names):
            path: Keys = ("marks", index)
            name = self.check.value(str, item, path)
            if not isinstance(name, str):
                continue
            if name not in self._table("sources").entries:
                self._missing(Text(item.mark, name), path, "source", able)
            elif name in sources and name not in able:
                hint = f"these can: {', '.join(able)}" if able else "a graphite, a grafana or a deploylog can"
                self.check.wrong(item.mark, path, f"nothing can be marked in {name!r} ({sources[name][0]})", hint)
            elif name in sources:
                yield sources[name]

    def _services(self) -> dict[str, Service]:
        made: dict[str, Service] = {}
        for name, (mark, node) in self._table("services").entries.items():
            path = ("services", name)
            if not self._named(name, mark, path):
                continue
            self._references(node, path)
            if found := self.check.build(ServiceOptions, node, path):
                board = found.dashboard
                scope = Scope(
                    service=name,
                    hosts=found.hosts,
                    metrics=found.metrics,
                    logs=found.logs,
                    infrastructure=found.infrastructure,
                    dashboard=Dashboard(kind=board) if isinstance(board, str) else board,
                )
                made[name] = Service(scope=scope, sources=found.sources, deploys=found.deploys)
        return made

    def _references(self, service: Node, path: Keys) -> None:
        """Check the names of sources in a service against those written, whether or not these are right."""
        sources = tuple(self._table("sources").entries)
        deploys = self._node("deploys")
        logs = tuple(item.text for item in _children(deploys, "source")) if isinstance(deploys, Items) else sources
        for key, known, what in (("sources", sources, "source"), ("deploys", logs, "deploy log")):
            for item in _children(service, key):
                if item.text not in known:
                    self._missing(item, (*path, key), what, known)
        for key in ("metrics", "logs"):
            for item in _children(service, key, "source"):
                if item.text and item.text not in sources:
                    self._missing(item, (*path, key), "source", sources)

    def _missing(self, node: Text, path: Keys, what: str, known: Sequence[str]) -> None:
        self.check.wrong(node.mark, path, f"there is no {what} {line(node.text, 60)!r}", suggest(node.text, known))


def _set_up(source: Source) -> bool:
    """Whether the options are given without which the source knows no deploys."""
    needed = [item.name for item in fields(source) if item.metadata.get("deploys")]
    return all(getattr(source, name) for name in needed)


def _children(node: Node, *keys: str) -> Iterator[Text]:
    """Yield the texts that stand below ``keys``; lists on the way are walked through."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _children(item, *keys)
    elif isinstance(node, Table):
        if keys and keys[0] in node.entries:
            yield from _children(node.entries[keys[0]][1], *keys[1:])
    elif not node.empty and (not keys or keys == ("source",)):
        yield node  # "source" is optional in front of a deploy log's name


def _bare(cls: type[T]) -> T:
    """Return the built-in values of a section whose own are wrong; the error is on its way."""
    return cls(**{f.name: f.default for f in fields(cls) if f.default is not MISSING})  # type: ignore[arg-type]  # any dataclass


def _system_zone(env: Mapping[str, str]) -> tuple[str, str]:
    """Return the machine's time zone and where that is written."""
    candidates = [(env.get("TZ", "").removeprefix(":"), "TZ")]
    link = os.path.realpath("/etc/localtime")
    candidates.append((link.partition("/zoneinfo/")[2], "/etc/localtime"))
    for name, where in candidates:
        try:
            if name:
                return ZoneInfo(name).key, where
        except (KeyError, ValueError, OSError):
            continue
    return "UTC", BUILT_IN


def _powers(node: Node) -> Iterator[tuple[Mark, str]]:
    """Yield every place that runs a program or fetches a secret, with the word for it."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _powers(item)
    elif isinstance(node, Table):
        for key, (mark, value) in node.entries.items():
            if key in ("command", "sendmail") and isinstance(value, Items):
                yield mark, "a command to run"
            elif key in ("env", "file", "netrc", "keyring") and len(node.entries) == 1:
                yield mark, "a secret"
            yield from _powers(value)


def _trust(checker: Checker, tree: Table, *, searched: bool) -> None:
    """Refuse power to a file that somebody else can shape.

    Whoever can write a file must not run programs as whoever reads it; and whoever leaves an
    opsbrief.yaml in a shared folder must not learn the secrets of whoever works there.
    """
    name, path = tree.mark.file.name, tree.mark.file.path
    if path is None:
        return
    about = path.stat()
    for mark, what in _powers(tree):
        if searched and about.st_uid not in (os.geteuid(), 0):
            said = f"{name} belongs to somebody else (uid {about.st_uid}) and names {what}"
            checker.wrong(mark, (), said, f"if you trust it: opsbrief --config {path}")
            return
        if what == "a command to run" and stat.S_IMODE(about.st_mode) & 0o022:
            checker.wrong(mark, (), f"others can write {name}, and it names {what}", f"chmod go-w {path}")
            return


def _order(problem: Problem) -> tuple[str, int, int]:
    name, _, rest = problem.where.partition(":")
    numbers = [int(part) for part in rest.split(":") if part.isdigit()]
    return (name, numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else 0)
