"""The Graphite and whisper sources against a real Graphite: its zone is not UTC, it caches, its URLs have a path."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.system import graphite as real

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Event, Gap, Series
from opsbrief.model.marking import Marking
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.readers.graphite import whisper
from opsbrief.sources.graphite import Graphite
from opsbrief.sources.whisper import Whisper
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system

NOW = int(time.time()) // 60 * 60
RAMP = np.arange(180.0)


def span(first: int, end: int, *weeks: int) -> Window:
    """Return the window [first, end), all of it incident, with the same hours of earlier weeks."""
    shifts = tuple((f"{number}-weeks-ago", timedelta(weeks=number)) for number in weeks)
    start, stop = (datetime.fromtimestamp(at, UTC) for at in (first, end))
    return Window(start=start, end=stop, anchor=Anchor("time", start), before=timedelta(0), shifts=shifts)


LAST_HOURS = span(NOW - 180 * 60, NOW)


def ask(
    server: real.Graphite, *targets: str, window: Window = LAST_HOURS, hosts: tuple[str, ...] = (), **options: object
) -> tuple[list[Series], list[Gap]]:
    """Collect targets from the server; return series and gaps."""
    metrics = tuple(Metric(target=target) for target in targets)
    source = Graphite(name="g", url=server.url, scope=Scope(hosts=hosts, metrics=metrics), **options)  # type: ignore[arg-type] # reason: options of any type
    found = list(source.collect(window, Deadline(60)))
    return [item for item in found if isinstance(item, Series)], [item for item in found if isinstance(item, Gap)]


@pytest.fixture(scope="module")
def server(graphite: real.Graphite) -> real.Graphite:
    """Return a server with the connections of three hosts, the third one with dots in its name."""
    for number, host in enumerate(("app1", "app2", "app3_example_com"), 1):
        graphite.write_whisper(f"collectd.{host}.conn", RAMP + 1000 * number, NOW - 180 * 60)
    return graphite


def test_series_come_with_host_metric_and_receipt(server: real.Graphite) -> None:
    series, gaps = ask(server, "collectd.{host}.conn", hosts=("app1", "app3.example.com"))
    assert gaps == []
    assert {(one.name, one.host) for one in series} == {
        ("collectd.app1.conn", "app1"),
        ("collectd.app3_example_com.conn", "app3.example.com"),
    }
    one = next(one for one in series if one.host == "app1")
    assert (one.metric, one.start, one.step) == ("collectd.{host}.conn", NOW - 180 * 60, 60)
    np.testing.assert_array_equal(one.values, RAMP + 1000)
    assert one.origin.url == f"{server.url}/render"
    assert one.origin.digest.startswith("sha256:")


@pytest.mark.parametrize("form", ["json", "raw", "auto"])
def test_each_format_gives_the_same(server: real.Graphite, form: str) -> None:
    series, gaps = ask(server, "collectd.*.conn", format=form)
    assert gaps == []
    assert sorted(one.name for one in series) == [
        "collectd.app1.conn",
        "collectd.app2.conn",
        "collectd.app3_example_com.conn",
    ]
    assert all(one.values[-1] % 1000 == 179 and one.step == 60 and one.start == NOW - 180 * 60 for one in series)


def test_the_window_is_half_open(server: real.Graphite) -> None:
    first = NOW - 100 * 60
    (one,), _ = ask(server, "collectd.app1.conn", window=span(first, first + 600))
    assert (one.start, list(one.values)) == (first, [1000 + minute for minute in range(80, 90)])


def test_what_is_not_there_is_a_gap_and_the_rest_is_kept(server: real.Graphite) -> None:
    series, gaps = ask(server, "collectd.app1.conn", "no.such", "no.such.*", "alias(no.such,'x')")
    assert [one.name for one in series] == ["collectd.app1.conn"]
    assert {(gap.what, gap.kind) for gap in gaps} == {
        ("series no.such", GapKind.UNAVAILABLE),
        ("series no.such.*", GapKind.UNAVAILABLE),
        ("series alias(no.such,'x')", GapKind.UNAVAILABLE),
    }


@pytest.mark.parametrize(
    "target", ["sum(collectd.*.conn", "collectd.{app1,app2.conn", "collectd.app[12.conn", "collectd.app1.conn ", "a b"]
)
def test_a_slip_that_the_server_answers_with_nothing_is_refused_here(server: real.Graphite, target: str) -> None:
    series, gaps = ask(server, target, "collectd.app1.conn")
    assert [one.name for one in series] == ["collectd.app1.conn"]
    assert [(gap.kind, "cannot be read" in gap.detail) for gap in gaps] == [(GapKind.REJECTED, True)]


@pytest.mark.parametrize(
    ("target", "kind", "said"),
    [
        ("nosuch(collectd.app1.conn)", GapKind.REJECTED, "nosuch"),
        ("movingAverage(collectd.app1.conn)", GapKind.REJECTED, "windowSize"),
        ('scale(collectd.app1.conn,"a")', GapKind.REJECTED, "could not convert string"),
        ("collectd.čau.conn", GapKind.UNAVAILABLE, "no such series"),
    ],
)
def test_a_target_the_server_refuses_does_not_fail_the_good_ones(
    server: real.Graphite, target: str, kind: GapKind, said: str
) -> None:
    series, gaps = ask(server, target, "collectd.app1.conn", "sumSeries(collectd.*.conn)")
    assert {one.name for one in series} == {"collectd.app1.conn", "sumSeries(collectd.*.conn)"}
    assert [gap.kind for gap in gaps] == [kind], gaps
    assert said in gaps[0].detail


@pytest.mark.parametrize("damage", ["empty", "short", "garbage", "body"])
def test_a_damaged_file_under_a_glob_is_named_and_the_others_are_kept(server: real.Graphite, damage: str) -> None:
    for number in range(9):
        server.write_whisper(f"hurt_{damage}.h{number}.v", RAMP, NOW - 180 * 60)
    path = server.store / f"hurt_{damage}" / "h4" / "v.wsp"
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "short": whole[:10], "garbage": b"x" * 5000, "body": whole[:200]}[damage])
    for source in (server_source(server, f"hurt_{damage}.*.v"), files(server, f"hurt_{damage}.*.v")):
        found = list(source.collect(LAST_HOURS, Deadline(60)))
        assert sum(isinstance(item, Series) for item in found) == 8
        (gap,) = (item for item in found if isinstance(item, Gap))
        assert gap.what == f"series hurt_{damage}.h4.v"


def server_source(server: real.Graphite, *targets: str, **options: object) -> Graphite:
    scope = Scope(metrics=tuple(Metric(target=target) for target in targets))
    return Graphite(name="g", url=server.url, scope=scope, **options)  # type: ignore[arg-type] # reason: options of any type


def files(server: real.Graphite, *targets: str) -> Whisper:
    return Whisper(name="w", path=str(server.store), scope=Scope(metrics=tuple(Metric(target=one) for one in targets)))


def test_disk_and_server_say_the_same(server: real.Graphite) -> None:
    rng = np.random.default_rng(7)
    archives = [(60, 8 * 1440), (600, 60 * 144)]
    for number in range(6):
        values = np.where(rng.random(12 * 1440) < 0.1, np.nan, rng.random(12 * 1440) * 10.0**number)
        server.write_whisper(f"same.s{number}.v", values, NOW - 12 * 86400, archives=archives)
    for ago, length in ((3, 3), (30, 6), (189, 6), (193, 8), (250, 90)):
        window = span(NOW - ago * 3600 + 17, NOW - (ago - length) * 3600 + 23)
        told, _ = ask(server, "same.{s0,s1,s[2-9]}.v", window=window)
        read = [item for item in files(server, "same.*.v").collect(window, Deadline(60)) if isinstance(item, Series)]
        assert len(told) == len(read) == 6
        for mine, other in zip(sorted_(read), sorted_(told), strict=True):
            assert (mine.name, mine.start, mine.step) == (other.name, other.start, other.step)
            np.testing.assert_array_equal(mine.values, other.values)


def sorted_(series: list[Series]) -> list[Series]:
    return sorted(series, key=lambda one: one.name)


def test_steps_differ_on_the_sides_of_a_retention_border(server: real.Graphite) -> None:
    archives = [(60, 8 * 1440), (600, 60 * 144)]
    server.write_whisper("border.v", np.arange(16 * 1440.0), NOW - 16 * 86400, archives=archives)
    series, gaps = ask(server, "border.v", window=span(NOW - 3600, NOW, 1, 2))
    assert gaps == []
    assert {one.span: (one.step, len(one.values)) for one in series} == {
        "": (60, 60),
        "1-weeks-ago": (60, 60),
        "2-weeks-ago": (600, 6),
    }


def test_a_span_without_data_is_named(server: real.Graphite) -> None:
    _, gaps = ask(server, "collectd.app1.conn", window=span(NOW - 3600, NOW, 1))
    assert [(gap.what, gap.kind, gap.span) for gap in gaps] == [
        ("series collectd.app1.conn", GapKind.UNAVAILABLE, "1-weeks-ago")
    ]


def test_infinite_values_are_missing_and_said(server: real.Graphite) -> None:
    values = RAMP.copy()
    values[[10, 20]] = np.inf, -np.inf
    server.write_whisper("endless.v", values, NOW - 180 * 60)
    for form in ("raw", "json"):
        (one,), gaps = ask(server, "endless.v", format=form)
        assert np.isnan(one.values[[10, 20]]).all()
        assert [(gap.what, gap.kind) for gap in gaps] == [("series endless.v", GapKind.BAD_ANSWER)]


def test_a_wide_net_is_cut_evenly_and_says_so(server: real.Graphite) -> None:
    for host in ("w1", "w2"):
        for number in range(8):
            server.write_whisper(f"wide.{host}.m{number}", RAMP, NOW - 180 * 60)
    metrics = (Metric(target="wide.w1.m0", name="key"), Metric(target="wide.{host}.*", rank=True))
    source = replace(server_source(server), scope=Scope(hosts=("w1", "w2"), metrics=metrics), max_series=9)
    found = list(source.collect(LAST_HOURS, Deadline(60)))
    series = [item for item in found if isinstance(item, Series)]
    gaps = [item for item in found if isinstance(item, Gap)]
    assert [one.metric for one in series].count("key") == 1
    assert len(series) == len({one.name for one in series}) == 9
    assert {gap.detail for gap in gaps} == {
        "3 of 7 series not fetched: the limit is 9 series in all",
        "4 of 8 series not fetched: the limit is 9 series in all",
    }


def test_a_thousand_names_go_in_pieces(server: real.Graphite) -> None:
    for number in range(1050):
        server.write_whisper(f"many.m{number:04}", RAMP[:30], NOW - 30 * 60)
    hosts = tuple(f"m{number:04}" for number in range(1050))
    series, gaps = ask(server, "many.{host}", hosts=hosts)
    assert (len(series), gaps) == (1050, [])


def test_aliases_that_meet_stay_apart(server: real.Graphite) -> None:
    series, _ = ask(server, 'alias(collectd.app*.conn,"x")')
    assert len(series) == len({one.name for one in series}) == 3
    assert len({one.values[0] for one in series}) == 3


def test_names_with_commas_survive_the_raw_format(server: real.Graphite) -> None:
    (one,), _ = ask(server, "movingAverage(scale(collectd.app1.conn,2),3)", format="raw")
    assert one.name == "movingAverage(scale(collectd.app1.conn,2),3)"


def test_the_cache_of_the_server_does_not_hide_new_points(server: real.Graphite) -> None:
    second = int(time.time())
    window = span(second - 30, second + 60)
    server.send([f"live.fresh {second - 3} {second - 3}"])
    assert eventually(lambda: len(ask(server, "live.fresh", window=window)[0]) == 1)
    server.send([f"live.fresh {second} {second}"])
    assert eventually(lambda: np.nanmax(ask(server, "live.fresh", window=window)[0][0].values) == second)


def eventually(true: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def test_tagged_series_are_found_by_function_and_by_name(server: real.Graphite) -> None:
    moment = int(time.time()) // 60 * 60
    server.send([f"disk.used;rack=a;host=app1 5 {moment}"])
    window = span(moment - 3600, moment + 60)
    # The server remembers for a minute what it did not find: each try asks in other words.
    tries = (f"seriesByTag('name=disk.used','host=app1','rack!=x{number}')" for number in range(1000))
    assert eventually(lambda: len(ask(server, next(tries), window=window)[0]) == 1)
    ((one,), _) = ask(server, next(tries), window=window, hosts=("app1",))
    assert one.host == "app1"
    assert one.tags["rack"] == "a"
    ((same,), _) = ask(server, "disk.used;host=app1;rack=a", window=window)
    assert same.values[-1] == 5
    assert eventually(lambda: any(files(server, "disk.used;rack=a;host=app1").collect(window, Deadline(9))))
    (read,) = (item for item in files(server, "disk.used;rack=a;host=app1").collect(window, Deadline(9)))
    assert isinstance(read, Series)
    assert read.values[-1] == 5


def test_events_are_deploys_whatever_the_zone(server: real.Graphite) -> None:
    server.event("shop 2.14.0 deployed", NOW - 3600, ["deploy", "shop"], data="by cron to 10.0.0.5")
    server.event("shop rollback", NOW - 1800, ["deploy", "shop"], data='{"version": "2.13.2"}')
    server.event("other 9.9.9", NOW - 1700, ["deploy", "other"])
    server.event("shop note", NOW - 1700, ["note", "shop"])
    server.event("shop 2.12.0", NOW - 9 * 3600, ["deploy", "shop"])
    source = server_source(server, deploy_tags=("deploy", "shop"))
    since, until = (datetime.fromtimestamp(at, UTC) for at in (NOW - 3600, NOW))
    found = [item for item in source.deploys(since, until, Deadline(30)) if isinstance(item, Deploy)]
    assert [(one.at, one.ref, one.rollback) for one in found] == [
        (datetime.fromtimestamp(NOW - 3600, UTC), "2.14.0", False),
        (datetime.fromtimestamp(NOW - 1800, UTC), "2.13.2", True),
    ]
    changes = [item for item in source.collect(LAST_HOURS, Deadline(30)) if isinstance(item, Change)]
    assert [(one.ref, one.summary) for one in changes] == [
        ("2.14.0", "shop 2.14.0 deployed"),
        ("2.13.2", "shop rollback"),
    ]


def test_find_tells_leaves_from_branches(server: real.Graphite) -> None:
    source = server_source(server)
    assert source.find("collectd.app1", Deadline(30)) == ("collectd.app1.",)
    assert source.find("collectd.app1.*", Deadline(30)) == ("collectd.app1.conn",)
    assert source.find("nothing.*", Deadline(30)) == ()
    assert files(server).find("collectd.app[12]", Deadline(30)) == ("collectd.app1.", "collectd.app2.")


def test_a_wrong_path_in_the_url_is_said(server: real.Graphite) -> None:
    source = replace(server_source(server, "a.b"), url=server.url.removesuffix(real.PREFIX))
    with pytest.raises(SourceError, match="HTTP 404") as caught:
        list(source.collect(LAST_HOURS, Deadline(30)))
    assert caught.value.kind is GapKind.UNREACHABLE


def test_reader_equals_the_library_on_random_windows(server: real.Graphite, tmp_path: Path) -> None:
    seed = random.Random(11)
    paths = [*random_files(server, tmp_path, seed)]
    questions = []
    for path in paths:
        for _ in range(40):
            first = seed.randrange(NOW - 30 * 86400, NOW + 3600)
            questions.append((str(path), first, first + seed.choice([0, 1, 59, 61, 3600, 86400, 9 * 86400]), NOW))
    program = (
        "import json, sys, whisper\n"
        "for path, first, until, now in json.load(sys.stdin):\n"
        "    found = whisper.fetch(path, first, until, now)\n"
        "    print(json.dumps(found))\n"
    )
    answers = server.library(program, given=json.dumps(questions)).splitlines()
    assert len(answers) == len(questions) == 40 * len(paths)
    told = 0
    for question, answer in zip(questions, answers, strict=True):
        expected = json.loads(answer)
        mine = read(*question)
        if expected is None:
            assert mine is None, question
            continue
        (start, _end, step), values = expected
        assert mine is not None, question
        assert (mine.start, mine.step) == (start, step), question
        np.testing.assert_array_equal(mine.values, np.array(values, dtype=float), err_msg=str(question))
        told += sum(value is not None for value in values)
    assert told > 10_000


def read(path: str, first: int, until: int, now: int) -> whisper.Slice | None:
    with Path(path).open("rb") as file:
        return whisper.fetch(file.fileno(), whisper.header(file.fileno()), first, until, now)


def random_files(server: real.Graphite, folder: Path, seed: random.Random) -> Iterator[Path]:
    """Let the real library write files: gaps, rings that have wrapped, one to three archives."""
    folder.chmod(0o755)
    program = (
        "import json, sys, whisper\n"
        "for path, archives, points, now in json.load(sys.stdin):\n"
        "    whisper.create(path, [tuple(archive) for archive in archives], 0.0, 'average')\n"
        "    real = whisper.time.time\n"
        "    for at in range(0, len(points), 700):\n"
        "        part = [tuple(point) for point in points[at:at + 700]]\n"
        "        whisper.time.time = lambda: part[-1][0] + 1\n"
        "        whisper.update_many(path, part)\n"
    )
    shapes = [[(60, 1500)], [(60, 1440), (600, 2000)], [(10, 360), (60, 1440), (3600, 800)], [(1, 600), (10, 9000)]]
    plans = []
    for number in range(16):
        archives = shapes[number % 4]
        step = archives[0][0]
        count = seed.choice([1, 50, 2000, 6000])
        first = NOW - seed.choice([0, 1, 7200]) - count * step
        points = [(first + n * step, round(seed.random() * 100, 3)) for n in range(count) if seed.random() > 0.1]
        plans.append((str(folder / f"{number}.wsp"), archives, points or [(first, 1.0)], NOW))
    server.library(program, given=json.dumps(plans))
    yield from (Path(plan[0]) for plan in plans)


# --- VictoriaMetrics ----------------------------------------------------------------------------


def test_victoria_that_cannot_render_says_so(victoria: real.Victoria) -> None:
    victoria.send([f"collectd.app1.conn 5 {NOW}"])
    source = Graphite(
        name="vm", url=victoria.url, scope=Scope(metrics=(Metric(target="collectd.*.conn"),)), deploy_tags=("deploy",)
    )
    assert source.find("collectd.*", Deadline(30)) == ("collectd.app1.",)
    assert source.find("collectd.app1.*", Deadline(30)) == ("collectd.app1.conn",)
    found = []
    with pytest.raises(SourceError, match="VictoriaMetrics has no /render"):
        found.extend(source.collect(LAST_HOURS, Deadline(30)))
    with pytest.raises(SourceError, match="has no /events"):
        list(source.deploys(LAST_HOURS.start, LAST_HOURS.end, Deadline(30)))


def test_what_is_marked_comes_back(server: real.Graphite) -> None:
    at = datetime.fromtimestamp(NOW - 600, UTC)
    source = Graphite(name="g", url=server.url, scope=Scope(service="marked"), deploy_tags=("deploy", "marked"))
    for kind, text in (
        ("deploy", "marked 3.1.4 everywhere"),
        ("fix", "pool lowered"),
        ("note", 'it is "slow" \u2026 ü'),
    ):
        marking = Marking(kind=kind, at=at, text=text, ref="3.1.4" if kind == "deploy" else "", service="marked")  # type: ignore[arg-type] # reason: one of the three
        assert server.url in source.mark(marking, Deadline(30))
    found = [item for item in source.collect(LAST_HOURS, Deadline(60)) if not isinstance(item, Gap)]
    assert [(one.ref, one.at) for one in found if isinstance(one, Change)] == [("3.1.4", at)]
    assert {(one.state, one.output, one.at) for one in found if isinstance(one, Event)} == {
        ("fix", "pool lowered", at),
        ("note", 'it is "slow" \u2026 ü', at),
    }
    other = Graphite(name="g", url=server.url, scope=Scope(service="new"), deploy_tags=("deploy", "never-seen"))
    assert [*other.collect(LAST_HOURS, Deadline(60))] == []
    (deploy,) = source.deploys(at - timedelta(minutes=1), at, Deadline(30))
    assert isinstance(deploy, Deploy)
    assert deploy.ref == "3.1.4"
