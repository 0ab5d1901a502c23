"""What the servers answer to ``/metrics/find`` and ``/metrics/expand``, in all their shapes."""

from collections.abc import Iterable, Mapping, Sequence

from opsbrief.readers.graphite.answer import AnswerError
from opsbrief.readers.graphite.target import matcher
from opsbrief.text import line


def found(document: object, query: str) -> tuple[str, ...]:
    """Return the names in a find answer that match ``query``, sorted; a branch ends with a dot.

    Takes the completer's shape (which matches more than was asked, hence the check), the json list and
    the tree of graphite-web, carbonapi, Metrictank and VictoriaMetrics. Raises AnswerError for anything else.
    """
    entries = document.get("metrics") if isinstance(document, Mapping) else document
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise AnswerError(f"not a list of metrics: {line(repr(document), 120)}")
    wanted = matcher(query)
    names = set()
    for entry in entries:
        path = str(entry.get("path") or entry.get("id") or "").rstrip(".")
        leaf = str(entry.get("is_leaf", entry.get("leaf", 0))).lower() in {"1", "true"}
        if path and wanted.match(path):
            names.add(path if leaf else f"{path}.")
    return tuple(sorted(names))


def expanded(document: object, queries: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names each query stands for. Raises AnswerError when the answer is no list of names.

    ``{"results": {query: [...]}}`` in graphite-web and carbonapi, ``{"results": [...]}`` without grouping,
    a bare list in VictoriaMetrics; where the server did not group, names are matched here.
    """
    results = document.get("results", document) if isinstance(document, Mapping) else document
    if isinstance(results, Mapping):
        if all(query in results for query in queries):
            return {query: _texts(results[query]) for query in queries}
        results = [name for names in results.values() for name in _texts(names)]
    names = _texts(results)
    wanted = {query: matcher(query) for query in queries}
    return {query: tuple(name for name in names if wanted[query].match(name)) for query in queries}


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        raise AnswerError(f"not a list of names: {line(repr(value), 120)}")
    return tuple(sorted(str(name) for name in value))
