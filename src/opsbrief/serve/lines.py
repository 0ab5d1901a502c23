"""The log lines of a bundle as documents in the Elastic Common Schema."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from opsbrief.codec import stamp
from opsbrief.model.evidence import Evidence, LogRecord, LogSample

TIME = "@timestamp"
_NAMES = {"logger": "log.logger"}


@dataclass(frozen=True, slots=True)
class Line:
    """One document; ``number`` is its place in the order of time, ``weight`` how many true lines it stands for."""

    number: int
    at: int  # epoch milliseconds
    source: str
    fields: Mapping[str, str]
    weight: float
    queries: frozenset[str]  # the query strings it was collected with

    def get(self, name: str) -> str:
        """Return a field, "" when the line has none of that name; ``.keyword`` is the same field."""
        return self.fields.get(name) or self.fields.get(name.removesuffix(".keyword"), "")

    def hit(self) -> dict[str, object]:
        """Return it as a hit of a search."""
        return {
            "_index": self.source,
            "_id": str(self.number),
            "_score": None,
            "_source": dict(self.fields),
            "fields": {TIME: [str(self.at)]},
        }


def lines(evidence: Evidence) -> list[Line]:
    """Return every line once, in the order of time.

    Where several queries brought the same line it is one document; a line that was logged twice stays two.
    """
    found: dict[tuple[object, ...], Line] = {}
    for sample in evidence.items(LogSample):
        copies: Counter[tuple[object, ...]] = Counter()
        weights = sample.weights()
        for record in sample.records:
            same = (sample.origin.source, record.timestamp, record.body, record.resource.get("host.name", ""))
            copies[same] += 1
            key = (*same, copies[same])
            known = found.get(key)
            queries = (known.queries if known else frozenset()) | {sample.query.strip()}
            weight = weights.get(record.severity_text, 1.0)
            found[key] = Line(
                0, milliseconds(record.timestamp), sample.origin.source, dict(_fields(record)), weight, queries
            )
    ordered = sorted(found.values(), key=lambda line: line.at)
    return [replace(line, number=number) for number, line in enumerate(ordered)]


def milliseconds(at: datetime) -> int:
    """Return epoch milliseconds, cut off as Elasticsearch does."""
    return int(at.timestamp() * 1000 + 1e-4)


def _fields(record: LogRecord) -> Iterator[tuple[str, str]]:
    yield TIME, stamp(record.timestamp)
    yield "message", record.body
    if record.severity_text:
        yield "log.level", record.severity_text
    yield from record.resource.items()
    for name, value in record.attributes.items():
        yield _NAMES.get(name, name), value


def samples(evidence: Evidence) -> tuple[str, ...]:
    """Return the names of the sources that lines came from."""
    return tuple(dict.fromkeys(sample.origin.source for sample in evidence.items(LogSample)))
