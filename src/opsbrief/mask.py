"""Names that concern nobody outside: hosts, addresses, people become host-1, ip-1, mail-1, user-1.

The same thing is the same pseudonym everywhere, in every form it is written in: ``app1.example.com``,
``app1`` and collectd's ``app1_example_com`` are one host. Numbers, times, versions and words stay, so that
the analysis of masked evidence says what that of the original said.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from opsbrief.errors import BundleError
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import (
    Change,
    Event,
    Evidence,
    Item,
    LogRecord,
    LogSample,
    Outcome,
    Reading,
    Release,
    Run,
    Series,
)
from opsbrief.readers.graphite.target import TargetError, glob, levels
from opsbrief.redact import Redactor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_FOUR = re.compile(r"(?<![\w.])(?<!ersion )(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_WRITTEN = re.compile(r"(?<![\w-])(?:ip-)?\d{1,3}([_-])\d{1,3}\1\d{1,3}\1\d{1,3}(?![\w-])")  # 10_1_2_3, ip-10-1-2-3
_SIX = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{3,39}(?![\w:.])")
_HOME = re.compile(r"(?P<before>/(?:home|Users)/)(?P<name>[\w.-]{1,64})")
_USER = re.compile(
    r"(?i)(?P<before>\buser(?:_?name|_?id)?(?:\\?[\"']\s{0,2}:\s{0,2}\\?[\"']|\s?=\s?\\?[\"']?))(?P<name>[A-Za-z][\w.-]{1,63})"
)
_PSEUDONYM = re.compile(r"(?:host|ip|mail|user)-(?:\d{1,6}|\*)")
_INSIDE = r"(?:local|localdomain|internal|intern|intra|intranet|lan|corp|home\.arpa)"
_FIELDS = ("user", "user.name", "user.id", "username")  # of log lines, whose whole value names somebody
_HOSTS = ("host", "hostname", "instance", "node")  # tags of series
_PUBLIC = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - names, nothing is bound
#: Fields with words of our own, numbers and arrays.
_OURS = frozenset(
    (
        *("kind", "role", "type", "worse", "state_type", "severity_text", "consolidation", "code", "verdict", "shape"),
        *("unit", "span", "label", "id", "version", "values", "time_kind", "histogram", "digest", "zone", "key"),
    )
)
_TEXTS = (".html", ".md", ".txt", ".json", ".jsonl")


class Masker(Redactor):
    """Replaces names in texts; walks values as its parent does."""

    def __init__(self, evidence: Evidence) -> None:
        """Learn the names from the fields that hold them; texts are then searched for these."""
        super().__init__()
        self._given: dict[str, str] = {}  # lower-case form -> pseudonym
        self._numbers: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {}  # pseudonym -> what it stands for: private
        hosts = [*evidence.scope.hosts, *sorted({*_hosts(evidence), *_neighbours(evidence)})]
        known = dict.fromkeys(host.lower() for host in hosts if host and host.lower() not in _PUBLIC)
        for host in sorted(known, key=lambda host: not _PSEUDONYM.fullmatch(host)):  # what is masked keeps its number
            self._host(host, evidence.scope.service.lower())
        for host in sorted({_server(item.origin.url) for outcome in evidence.outcomes for item in outcome.items}):
            if "." in host and host not in _PUBLIC:  # graphite.example.com; a bare "graphite" says nothing
                self._name("host", host)
        for author in sorted({*_people(evidence)} - {""}):
            self._person(author)
        self._globs(evidence)
        domains = {host.partition(".")[2] for host in self._given if host.count(".") >= 2 and not _is_address(host)}
        ends = "|".join([*map(re.escape, sorted(domains, key=len, reverse=True)), _INSIDE])
        part = r"[a-z0-9-]{1,63}"
        self._inside = re.compile(rf"(?i)(?<![\w.-]){part}(?:\.{part}){{0,6}}?\.(?:{ends})(?![\w-]|\.\w)")
        forms = sorted(self._given, key=len, reverse=True)
        self._known = re.compile(rf"(?i)(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)") if forms else None

    def _done(self, text: str) -> str:
        """Return ``text`` masked; the parent asks for each text once where it is short."""
        if "@" in text:
            text = _MAIL.sub(lambda found: self._called("mail", found.group()), text)
        if self._known is not None:
            text = self._known.sub(self._replaced, text)
        if "." in text:
            text = self._inside.sub(lambda found: self._called("host", found.group()), text)
            text = _FOUR.sub(self._address, text)
        if any(mark in text for mark in "_-"):
            text = _WRITTEN.sub(self._address, text)
        if text.count(":") > 1:
            text = _SIX.sub(self._address, text)
        for pattern in (_HOME, _USER) if "/" in text or "user" in text.lower() else ():
            text = pattern.sub(lambda found: found["before"] + self._called("user", found["name"]), text)
        return text

    def person(self, value: str) -> str:
        """Return the pseudonym of somebody whose name is the whole value of a field."""
        return self._called("user", value)

    def left(self, text: str) -> bool:
        """Whether a name that was learned still stands in a text."""
        return bool(self._known and self._known.search(text))

    def _record(self, value: "DataclassInstance") -> "DataclassInstance":
        """Mask the fields that hold words of others, not those that hold ours: a host may be called "deploy"."""
        changed = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = old if field.name in _OURS else self._value(old)
            if new is not old and new != old:
                changed[field.name] = new
        return replace(value, **changed) if changed else value

    def _records(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """Mask every record: what is looked for is no short list of words."""
        return [cast("LogRecord", self._record(record)) for record in records]

    def _replaced(self, found: re.Match[str]) -> str:
        name = self._given[found.group().lower()]
        self._count(name.rpartition("-")[0], 1)
        return name

    def _called(self, kind: str, original: str) -> str:
        if _PSEUDONYM.fullmatch(original):
            return original
        self._count(kind, 1)
        return self._name(kind, original)

    def _name(self, kind: str, original: str) -> str:
        key = original.lower()
        if key not in self._given:
            self._numbers[kind] += 1
            self._given[key] = f"{kind}-{self._numbers[kind]}"
            self.names[self._given[key]] = [original]
        return self._given[key]

    def _address(self, found: re.Match[str]) -> str:
        text = found.group()
        try:
            address = ipaddress.ip_address(_dotted(text))
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified:
            return text
        return self._called("ip", str(address))

    def _host(self, host: str, service: str) -> None:
        """Give one host its pseudonym in every form; an address among the hosts is an address."""
        if _PSEUDONYM.fullmatch(host):
            kind, _, number = host.partition("-")
            self._given[host], self.names[host] = host, [host]
            self._numbers[kind] = max(self._numbers[kind], int(number) if number.isdigit() else 0)
            return
        if _is_address(plain := _dotted(host)):
            self._name("ip", plain)
            return
        short = host.partition(".")[0]
        name = self._given.get(host) or (self._given.get(short) if "." in host else None) or self._name("host", host)
        for form in (host, short, host.replace(".", "_")):
            if len(form) > 1 and form not in self._given and form != service:
                self._given[form] = name
                self.names[name].append(form)

    def _person(self, author: str) -> None:
        name = self._name("user", author)
        plain = author.partition("<")[0].strip()
        if len(plain) > 3:
            self._given.setdefault(plain.lower(), name)

    def _globs(self, evidence: Evidence) -> None:
        """Mask the parts of targets that are patterns of hosts: batch* says as much as batch1."""
        hosts = [form for form, name in self._given.items() if name.startswith("host-")]
        for metric in evidence.scope.metrics:
            for level in levels(metric.target):
                if not re.search(r"\w.*[*?\[]", level) or "(" in level or "{" in level:
                    continue
                try:
                    pattern = glob(level)
                except TargetError:
                    continue
                if any(pattern.match(host) for host in hosts):
                    self._given[level.lower()] = "host-*"


def mask(evidence: Evidence) -> tuple[Evidence, Masker]:
    """Return the evidence with pseudonyms, with their count among its redactions, and who is who."""
    masker = Masker(evidence)
    masked = replace(
        evidence,
        scope=masker.value(evidence.scope),
        window=masker.value(evidence.window),
        outcomes=tuple(_outcome(masker, outcome) for outcome in evidence.outcomes),
        first=masker.value(evidence.first),
    )
    counts = Counter(evidence.redactions) + masker.counts
    return replace(masked, redactions=dict(sorted(counts.items()))), masker


def check(masker: Masker, content: Iterable[Artifact]) -> None:
    """Refuse to publish a file in which a name was left. Raises BundleError."""
    for artifact in content:
        if artifact.name.endswith(_TEXTS):
            text = artifact.data.decode("utf-8", "replace")
            if masker.left(text):
                raise BundleError(
                    f"{artifact.name} would still name a host or a person; nothing was written",
                    "this is a defect of the masking: please report it",
                )


def _outcome(masker: Masker, outcome: Outcome) -> Outcome:
    items = tuple(_item(masker, item) for item in outcome.items)
    return replace(masker.value(replace(outcome, items=())), items=items)


def _item(masker: Masker, item: Item) -> Item:
    if isinstance(item, LogSample):
        records = tuple(
            replace(record, attributes=_who(masker, record.attributes)) if record.attributes else record
            for record in item.records
        )
        return masker.value(replace(item, records=records))
    return masker.value(item)


def _who(masker: Masker, attributes: Mapping[str, str]) -> Mapping[str, str]:
    if not any(name in attributes for name in _FIELDS):
        return attributes
    return {name: masker.person(value) if name in _FIELDS and value else value for name, value in attributes.items()}


def _hosts(evidence: Evidence) -> Iterator[str]:
    for outcome in evidence.outcomes:
        for item in outcome.items:
            if isinstance(item, Series):
                yield item.host
                yield from (item.tags.get(tag, "") for tag in _HOSTS)
            elif isinstance(item, LogSample):
                yield from {record.resource.get("host.name", "") for record in item.records}
            elif isinstance(item, Event | Reading | Run):
                yield item.host
            elif isinstance(item, Change):
                yield from item.hosts


def _neighbours(evidence: Evidence) -> Iterator[str]:
    """Yield what stands where hosts stand in the names of series: ``collectd.batch1`` beside ``collectd.app1``."""
    forms = {form for host in evidence.scope.hosts for form in (host, host.replace(".", "_"))}
    names = [series.name.split(".") for series in evidence.items(Series) if "(" not in series.name]
    places = {tuple(parts[:at]) for parts in names for at, part in enumerate(parts) if part in forms}
    for parts in names:
        yield from (part for at, part in enumerate(parts[:-1]) if at and tuple(parts[:at]) in places)


def _dotted(text: str) -> str:
    """Return 10_1_2_3 and ip-10-1-2-3 as the address that they stand for; anything else as it is."""
    return re.sub(r"[_-]", ".", text.lower().removeprefix("ip-")) if _WRITTEN.fullmatch(text) else text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _server(url: str) -> str:
    """Return the host that a receipt leads to, unless it is an address: those are found in texts."""
    host = (urlsplit(url).hostname or "") if "://" in url else ""
    return "" if _FOUR.fullmatch(host) or ":" in host else host.lower()


def _people(evidence: Evidence) -> Iterator[str]:
    for change in evidence.items(Change):
        yield change.author
    for release in evidence.items(Release):
        yield from (commit.author for commit in release.commits)
