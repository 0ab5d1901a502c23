"""The Loki source against a peer that holds lines and answers in the shapes that Loki's documentation shows.

The peer understands as much LogQL as the source adds by itself; whether a real server agrees, this cannot tell.
"""

import json
import re
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from tests.contract.peer import Fault, answer, peer

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, LogSample
from opsbrief.model.scope import Logs, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.sources.loki import Loki
from opsbrief.transport.deadline import Deadline

START = datetime(2026, 11, 20, 14, 0, 20, tzinfo=UTC)
AT = int(START.timestamp())
WINDOW = Window(
    start=START + timedelta(minutes=30), end=START + timedelta(hours=1), anchor=Anchor("time", START),
    before=timedelta(minutes=30), shifts=(("last-week", timedelta(days=7)),),
)  # fmt: skip
SHOP = '{app="shop"}'

Entry = tuple[float, str, Mapping[str, str]]


class Store:
    """Lines, and answers about them."""

    def __init__(self, entries: Sequence[Entry], most: int = 5000) -> None:
        self.entries = sorted((round(at * 1e9), text, dict(labels)) for at, text, labels in entries)
        self.most = most
        self.limits: list[int] = []

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        path, _, query = request.split()[1].decode().partition("?")
        assert path == "/loki/api/v1/query_range"
        form = {key: values[0] for key, values in parse_qs(query).items()}
        counting = re.fullmatch(r"sum by \((.*?)\) \(count_over_time\((.*) \[(\d+)s\]\)\)", form["query"])
        if counting:
            self._send(sock, "matrix", self._matrix(counting, form))
        elif int(form["limit"]) > self.most:
            said = f"max entries limit per query exceeded, limit > max_entries_limit ({form['limit']} > {self.most})"
            answer(said.encode(), "400 Bad Request", "text/plain")(sock, request)
        else:
            self.limits.append(int(form["limit"]))
            self._send(sock, "streams", self._streams(form))

    @staticmethod
    def _send(sock: socket.socket, kind: str, result: object) -> None:
        document = {"status": "success", "data": {"resultType": kind, "result": result, "stats": {"summary": {}}}}
        answer(json.dumps(document).encode())(sock, b"")

    def _found(self, query: str) -> list[tuple[int, str, dict[str, str]]]:
        found = [one for one in self.entries if f'app="{one[2].get("app")}"' in query.partition("}")[0]]
        for label, sign, regex in re.findall(r"(\| \w+(?==)|\| \w+(?=!)|)\s*(=~|!~) ?`(.*?)`", query):
            name = label.removeprefix("| ")
            keep = sign == "=~"
            pattern = re.compile(rf"(?:{regex})\Z" if name else regex)
            reach = pattern.match if name else pattern.search
            found = [one for one in found if bool(reach(one[2].get(name, "") if name else one[1])) is keep]
        for text in re.findall(r'\|= "(.*?)"', query):
            found = [one for one in found if text in one[1]]
        return found

    def _streams(self, form: Mapping[str, str]) -> list[object]:
        start, end = int(form["start"]), int(form["end"])
        inside = [one for one in self._found(form["query"]) if start <= one[0] < end][: int(form["limit"])]
        streams: dict[str, list[list[str]]] = {}
        for at, text, labels in inside:
            streams.setdefault(json.dumps(labels), []).append([str(at), text])
        return [{"stream": json.loads(labels), "values": values} for labels, values in streams.items()]

    def _matrix(self, counting: re.Match[str], form: Mapping[str, str]) -> list[object]:
        start, end, step = (int(form[key]) for key in ("start", "end", "step"))
        assert start % (step * 10**9) == end % (step * 10**9) == 0, "a server may move them"
        rows: dict[str, list[list[object]]] = {}
        found = self._found(counting[2])
        for instant in range(start, end + 1, step * 10**9):
            inside = [one for one in found if instant - int(counting[3]) * 10**9 < one[0] <= instant]
            names = [name.strip() for name in counting[1].split(",")]
            counts = Counter(json.dumps({n: one[2][n] for n in names if n in one[2]}) for one in inside)
            for labels, count in counts.items():
                rows.setdefault(labels, []).append([instant / 1e9, str(count)])
        return [{"metric": json.loads(labels), "values": values} for labels, values in rows.items()]


def collect(
    way: Fault, *logs: Logs, window: Window = WINDOW, **options: object
) -> tuple[dict[str, LogSample], list[Gap]]:
    with peer(way) as server:
        scope = Scope(hosts=("app1",), logs=logs or (Logs(query=SHOP),))
        source = Loki(name="l", url=server.url, scope=scope, **options)  # type: ignore[arg-type] # reason: options of any type
        found = list(source.collect(window, Deadline(20)))
    samples = {one.span: one for one in found if isinstance(one, LogSample)}
    return samples, [one for one in found if isinstance(one, Gap)]


def steady(per_second: int = 1, seconds: int = 3600, base: int = AT, **labels: str) -> list[Entry]:
    own = {"app": "shop", "host": "app1", "detected_level": "info", **labels}
    return [(base + n / per_second + 0.0001, f"line {n}", own) for n in range(seconds * per_second)]


WEEK = steady(base=AT - 604800)


def test_all_lines_come_with_times_levels_and_labels() -> None:
    lines = [*steady(), (AT + 2000.123456, "boom", {"app": "shop", "detected_level": "error", "instance": "app1:3100"})]
    samples, gaps = collect(Store([*lines, *WEEK]))
    assert gaps == []
    assert {span: one.total for span, one in samples.items()} == {"incident": 1801, "before": 1800, "last-week": 1800}
    incident = samples["incident"]
    assert len(incident.records) == 1801
    (boom,) = [one for one in incident.records if one.body == "boom"]
    assert (boom.severity_text, boom.timestamp) == ("ERROR", datetime.fromtimestamp(AT + 2000.123456, UTC))
    assert boom.resource == {"host.name": "app1", "service.name": "shop"}
    assert boom.attributes["instance"] == "app1:3100"
    assert incident.origin.query == '{app="shop"} of incident - all 1,801 lines'
    assert incident.origin.digest.startswith("sha256:")


def test_the_histogram_is_on_whole_minutes_and_counts_each_line_once() -> None:
    samples, _ = collect(Store([*steady(), *WEEK]))
    histogram = samples["before"].histogram
    assert histogram
    assert (histogram.start, histogram.step) == (AT - 20, 60)
    assert histogram.counts == {"INFO": (40, *[60] * 29, 20)}


def test_many_lines_are_sampled_evenly_and_rare_levels_whole() -> None:
    rare = [(AT + 1801 + 7 * n, f"boom {n}", {"app": "shop", "detected_level": "critical"}) for n in range(40)]
    samples, gaps = collect(Store([*steady(4), *rare, *WEEK]), limit=400)
    incident = samples["incident"]
    assert gaps == []
    assert (incident.total, incident.total_is_exact) == (7240, True)
    levels = Counter(one.severity_text for one in incident.records)
    assert levels == {"FATAL": 40, "INFO": 360}
    weights = incident.weights()
    assert weights["FATAL"] == 1
    assert weights["INFO"] == 7200 / 360
    thirds = Counter(
        int((one.timestamp.timestamp() - AT - 1800) // 600) for one in incident.records if one.severity_text == "INFO"
    )
    assert all(abs(count - 120) <= 20 for count in thirds.values())
    assert "400 of 7,240 lines" in incident.origin.query


def test_a_server_that_gives_fewer_lines_is_paged() -> None:
    store = Store([*steady(), *WEEK], most=700)
    samples, gaps = collect(store)
    assert gaps == []
    assert [len(one.records) for one in samples.values()] == [1800, 1800, 1800]
    assert len({one.body for one in samples["incident"].records}) == 1800
    assert max(store.limits) == 700


def test_lines_of_one_instant_on_two_pages_come_once_each() -> None:
    lines = [(AT + 1800 + n // 7, f"line {n}", {"app": "shop"}) for n in range(700)]
    lines += [(AT + 1800 + 0.5, f"line {n}", {"app": "shop"}) for n in range(700, 730)]
    samples, _ = collect(Store([*lines, *WEEK], most=10), page=10)
    found = Counter(one.body for one in samples["incident"].records)
    assert max(found.values()) == 1
    assert len(found) >= 700  # of 30 lines of one instant a page of ten cannot bring more


def test_lines_that_do_not_count_are_left_out_by_the_server() -> None:
    noise = [(AT + 1900 + n, "health `check`", {"app": "shop"}) for n in range(50)]
    entry = Logs(query=SHOP, ignore=("^health",))
    samples, _ = collect(Store([*steady(), *noise, *WEEK]), entry)
    assert samples["incident"].total == 1800


def test_a_structured_line_and_one_with_a_stamp_are_read() -> None:
    lines: list[Entry] = [
        (AT + 1801, '{"msg": "json \\u001b[2J", "level": "warn", "trace": "t1"}', {"app": "shop"}),
        (AT + 1802, "2026-11-20T14:30:22Z ERROR plain", {"app": "shop"}),
        (AT + 1803, "ERROR no stamp", {"app": "shop"}),
    ]
    samples, _ = collect(Store([*lines, *WEEK]))
    found = [(one.body, one.severity_text) for one in samples["incident"].records]
    assert found == [("json \\x1b[2J", "WARN"), ("plain", "ERROR"), ("ERROR no stamp", "ERROR")]
    assert [one.timestamp.second for one in samples["incident"].records] == [21, 22, 23]


def test_a_week_that_is_no_longer_there_is_not_taken_for_silence() -> None:
    samples, (gap,) = collect(Store(steady()))
    assert set(samples) == {"incident", "before"}
    assert (gap.kind, gap.span) == (GapKind.UNAVAILABLE, "last-week")
    once = (AT + 2000, "only once", {"app": "shop"})
    samples, gaps = collect(Store([*steady(), once, *WEEK]), Logs(query=SHOP + ' |= "only"'))
    assert {span: one.total for span, one in samples.items()} == {"incident": 1, "before": 0, "last-week": 0}
    assert gaps == []


def test_a_query_that_finds_nothing_at_all_is_said() -> None:
    samples, (gap,) = collect(Store(steady()), Logs(query='{app="shpo"}'))
    assert samples == {}
    assert (gap.kind, gap.what) == (GapKind.UNAVAILABLE, 'log query {app="shpo"}')


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("parse error at line 1, col 1: syntax error: unexpected IDENTIFIER", "LogQL"),
        ("pipeline error: 'JSONParserErr' for series: '{app=\"shop\"}'", "__error__"),
        ("the query time range exceeds the limit (query length: 745h, limit: 30d1h)", ""),
    ],
)
def test_a_refusal_is_said_in_the_servers_words(said: str, hint: str) -> None:
    samples, (gap,) = collect(answer(said.encode(), "400 Bad Request", "text/plain"))
    assert samples == {}
    assert (gap.kind, said[:40] in gap.detail, hint in gap.hint) == (GapKind.REJECTED, True, True)


def test_a_missing_tenant_is_explained() -> None:
    with pytest.raises(SourceError, match="X-Scope-OrgID"):
        collect(answer(b"no org id", "401 Unauthorized", "text/plain"))
