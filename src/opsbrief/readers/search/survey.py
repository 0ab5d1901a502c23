"""Before lines are asked for: which indices there are for a stretch, and in which fields their parts lie."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap
from opsbrief.model.window import Span
from opsbrief.readers.search import fields, names, query
from opsbrief.readers.search.cluster import LENIENT, Cluster
from opsbrief.readers.search.fields import Fields, Level, Mapped
from opsbrief.readers.search.sampling import Question
from opsbrief.text import line

_SOON = timedelta(minutes=15)
_NAMED = 5  # missing indices that are named one by one


class Survey:
    """What was found out about one index expression; asks everything once."""

    def __init__(self, cluster: Cluster, source: str, index: str) -> None:
        """Take the cluster, the name of the source for its gaps, and the index expression as configured."""
        self._cluster = cluster
        self._source = source
        self._index = index
        self._mapped: dict[tuple[str, Fields], Mapped] = {}
        self._levels: dict[tuple[str, Fields], Level] = {}
        self._missing: dict[str, bool] = {}

    def where(self, span: Span) -> tuple[str, list[Gap]]:
        """Return the path segment of what exists for a stretch ("" for nothing), and gaps for what does not."""
        wanted = names.expand(self._index, span.start, span.end)
        plain = [name for name in wanted if not name.startswith("-")]
        if not plain:
            raise SourceError(GapKind.REJECTED, f"{self._source} has no index to ask", "set index")
        fresh = [name for name in plain if name not in self._missing]
        gone = set(self._cluster.missing(fresh))
        self._missing |= {name: name in gone for name in fresh}
        lost = {name: wanted[name] for name in plain if self._missing[name]}
        if len(lost) == len(plain):
            return "", [self._absent(lost, span)]
        path = names.joined(self._index, [name for name in wanted if name not in lost])
        # An index of today that is minutes old may simply not have had its first line.
        old = {name: since for name, since in lost.items() if since is None or datetime.now(UTC) - since >= _SOON}
        if len(old) > _NAMED:
            return path, [self._absent(old, span)]
        return path, [self._absent({name: since}, span) for name, since in old.items()]

    def _absent(self, lost: Mapping[str, datetime | None], span: Span) -> Gap:
        shown = [line(name, 100) for name in lost]
        several = len(shown) > _NAMED
        since = next((at for at in lost.values() if at is not None), None)
        missed = f"; lines from {iso(max(since, span.start))} on would be there" if since else ""
        return Gap(
            source=self._source,
            what=f"{len(shown)} indices, {shown[0]} to {shown[-1]}" if several else f"index {', '.join(shown)}",
            kind=GapKind.UNAVAILABLE,
            detail=f"no open index, alias or data stream of {'these names' if len(shown) > 1 else 'that name'}{missed}",
            hint="missing is not the same as no lines: check the name, the retention, and what this login may see",
            span=span.label,
        )

    def question(self, path: str, layout: Fields, span: Span, words: str) -> Question:
        """Return the question for the lines that the query string ``words`` finds in a stretch.

        Raises SourceError when no field of the layout holds the time.
        """
        mapped = self._probe(path, layout)
        return Question(
            index=path,
            fields=layout,
            time=mapped.time,
            nanos=mapped.nanos,
            query=words,
            start=span.start,
            end=span.end,
        )

    def _probe(self, path: str, layout: Fields) -> Mapped:
        key = path, layout
        if key not in self._mapped:
            asked = ("fields", fields.probe(layout))
            found = self._cluster.ask("GET", f"{path}/_field_caps", params=[asked, *LENIENT])
            caps = found.get("fields")
            self._mapped[key] = fields.mapped(layout, caps if isinstance(caps, Mapping) else {})
        mapped = self._mapped[key]
        if not mapped.time:
            said = f"{mapped.wrong}, not date" if mapped.wrong else f"none of {', '.join(layout.time)} is mapped"
            raise SourceError(
                GapKind.UNAVAILABLE, f"{line(self._index, 100)} has no field of time: {said}", "name it in time_field"
            )
        return mapped

    def level(self, question: Question) -> Level | None:
        """Return the field of the level: of several that are mapped, the one that most lines really have."""
        levels = self._probe(question.index, question.fields).levels
        if len(levels) < 2:
            return levels[0] if levels else None
        key = question.index, question.fields
        if key in self._levels:
            return self._levels[key]
        body = {"size": 0, "query": question.matching(), "aggs": query.coverage(levels)}
        chosen = query.best(self._cluster.search(f"{question.index}/_search", body), levels)
        if chosen is not None:  # a stretch without lines tells nothing about the next one
            self._levels[key] = chosen
        return chosen


def iso(at: datetime) -> str:
    """Return a time as a person would put it into a query, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
