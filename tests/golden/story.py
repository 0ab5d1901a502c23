"""The seed's story as values: a release on a Friday afternoon, connections that are never given back.

Evidence and findings are written by hand, so that the pages can be judged apart from the analysis.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from opsbrief.errors import GapKind
from opsbrief.model.evidence import (
    Change,
    Event,
    Evidence,
    FileStat,
    Gap,
    LogRecord,
    LogSample,
    Origin,
    Outcome,
    Release,
    Run,
    Series,
)
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.scope import Infrastructure, Logs, Metric, Scope
from opsbrief.model.window import Anchor, Candidate, Deploy, Receipt, TimeKind, Window

HOSTS = tuple(f"app{number}" for number in range(1, 9))
START = datetime(2013, 5, 17, 13, 2, 11, tzinfo=UTC)
END = datetime(2013, 5, 17, 15, 40, tzinfo=UTC)
BEFORE = timedelta(hours=4)
STEP = 60


def window() -> Window:
    event = Deploy(START, "2.14.0", "shop 2.14.0 to all", "graphite", TimeKind.EVENT_TIME)
    tag = Deploy(datetime(2013, 5, 17, 12, 58, 40, tzinfo=UTC), "v2.14.0", "", "shop-git", TimeKind.TAG_TIME)
    last = Deploy(datetime(2013, 5, 7, 8, 11, 2, tzinfo=UTC), "2.13.2", "", "graphite", TimeKind.EVENT_TIME)
    return Window(
        start=START,
        end=END,
        anchor=Anchor("deploy", START, "2.14.0", "shop 2.14.0 to all", "graphite", TimeKind.EVENT_TIME),
        before=BEFORE,
        zone="Europe/Berlin",
        shifts=(("last-week", timedelta(weeks=1)), ("2-weeks-ago", timedelta(weeks=2))),
        previous=last,
        receipt=Receipt(
            since="deploy",
            until="now",
            reason="the newest successful deploy at or before the end, by the first deploy log that knows one",
            asked=("graphite", "shop-git"),
            candidates=(Candidate(event, 0.0, taken=True), Candidate(tag, -211.0, taken=False)),
        ),
    )


def scope() -> Scope:
    return Scope(
        service="shop",
        hosts=HOSTS,
        metrics=(
            Metric(
                target="collectd.{host}.tcpconns-8080-local.tcp_connections-ESTABLISHED",
                name="connections",
                worse="up",
                unit="conn",
                limit=400,
                key=True,
            ),
            Metric(target="collectd.{host}.processes.ps_threads", name="threads", worse="up", unit="threads"),
            Metric(target="collectd.{host}.load.load.shortterm", name="load"),
            Metric(target="stats.timers.shop.upper_95", name="p95", worse="up", unit="ms", impact=True),
        ),
        logs=(Logs(query="service:shop"),),
        infrastructure=Infrastructure(freeze="fri-sun"),
    )


def origin(source: str, query: str, size: int = 0) -> Origin:
    return Origin(
        source=source,
        query=query,
        url=f"https://{source}.example/",
        fetched_at=END + timedelta(seconds=4),
        bytes=size,
        digest=f"sha256:{'4be1c0de' * 8}",
    )


def _curve(host: int, slot: str, metric: str) -> np.ndarray:
    """One series from 4 h before the release to the end; only connections and threads know of the release."""
    length = int((END - START + BEFORE).total_seconds() // STEP)
    at = np.arange(length)
    released = at * STEP >= BEFORE.total_seconds() + 120
    base, noise = {"connections": (41, 4), "threads": (120, 5), "load": (0.7, 0.15), "p95": (128, 6)}[metric]
    wobble = (at * 7919 + host * 104_729 + len(slot) * 1_299_709) % 1009 / 1009 - 0.5  # the same on every machine
    values = base + 3 * noise * wobble + base * 0.15 * np.sin(at / 90)
    if slot == "" and metric in ("connections", "threads"):
        cycle = 95 + host * 7
        climb = (at - np.argmax(released)) % cycle * (3.6 if metric == "connections" else 1.4)
        values = np.where(released, values + climb, values)
    values[np.round(values) < 0] = 0
    if host == 3 and slot == "":
        values[100:112] = np.nan  # a hole in the data, drawn as one
    return values.round(2)


def series() -> list[Series]:
    made = []
    for metric, unit in (("connections", "conn"), ("threads", "threads"), ("load", ""), ("p95", "ms")):
        hosts = [*enumerate(HOSTS)] if metric != "p95" else [(0, "")]
        for slot, back in (("", timedelta(0)), ("last-week", timedelta(weeks=1)), ("2-weeks-ago", timedelta(weeks=2))):
            asked = origin("graphite", f"target=collectd.*.{metric}&from=…", 182_000)
            made += [
                Series(
                    name=f"collectd.{host}.{metric}" if host else "stats.timers.shop.upper_95",
                    start=int((START - BEFORE - back).timestamp()),
                    step=STEP,
                    values=_curve(number, slot, metric),
                    metric=metric,
                    host=host,
                    unit=unit,
                    span=slot,
                    origin=asked,
                )
                for number, host in hosts
            ]
    return made


def commits() -> tuple[Change, ...]:
    subjects = ("Reuse connections to search", "Add suggestions to the search box", "Raise the pool of search to 512")
    return tuple(
        Change(
            kind="commit",
            at=START - timedelta(days=1 + number, hours=number),
            ref=f"{0xA1B2C3D4 + number:x}" * 5,
            summary=subject,
            role="application",
            files=(FileStat("src/main/java/shop/UpstreamClient.java", "M", 84, 31),),
            author="Robin Example",
            origin=origin("shop-git", "git log 2.13.2..v2.14.0"),
        )
        for number, subject in enumerate(subjects)
    )


def evidence(*, gaps: bool = True) -> Evidence:
    """Return the whole collection; with ``gaps``, one source is down and one answered in part."""
    logs = [
        LogSample(
            query="service:shop",
            span="incident",
            start=START,
            end=END,
            total=412_000,
            total_is_exact=True,
            records=(LogRecord(timestamp=START, body="starting version 2.14.0", severity_text="INFO"),),
            origin=origin("logs", "service:shop", 2_400_000),
        )
    ]
    release = Release(
        base="2.13.2",
        head="v2.14.0",
        commits=commits(),
        files=(
            FileStat("src/main/java/shop/UpstreamClient.java", "M", 84, 31),
            FileStat("src/main/java/shop/Suggest.java", "A", 212, 0),
        ),
        origin=origin("shop-git", "git diff 2.13.2..v2.14.0", 41_000),
    )
    manifest = Change(
        kind="commit",
        at=datetime(2013, 5, 16, 14, 20, tzinfo=UTC),
        ref="9f3c2e1" + "0" * 33,
        summary="Rotate the certificates of the load balancer",
        role="infrastructure",
        in_window=False,
        author="Kim Example",
        origin=origin("puppet", "git log production"),
    )
    restarts = [
        Event(
            at=START + timedelta(minutes=2 + 95 + 7 * number),
            host=host,
            service="shop",
            state="RESTART",
            kind="restart",
            origin=origin("monit", "events"),
        )
        for number, host in enumerate(HOSTS)
        if number < 8
    ]
    version = "ac97852738" + "0" * 30
    runs = [
        Run(
            at=START + timedelta(minutes=30 * turn - 20 + number / 6),
            host=host,
            status="unchanged",
            version=version,
            stated=version,
            in_window=turn > -8,
            origin=origin("puppetdb", "reports", 96_000),
        )
        for number, host in enumerate((*HOSTS, *(f"node{number:02}" for number in range(1, 34))))
        for turn in range(-8, 6)
    ]
    alarm = Event(
        at=START + timedelta(minutes=46),
        host="app3",
        service="connections",
        state="WARNING",
        state_type="hard",
        output="connections 312",
        origin=origin("icinga", "history"),
    )
    outcomes = [
        Outcome(source="graphite", type="graphite", items=tuple(series()), took=1.84, requests=14, bytes=2_480_000),
        Outcome(
            source="logs",
            type="elasticsearch",
            gives=("logs",),
            items=tuple(logs),
            took=3.1,
            requests=9,
            bytes=3_640_000,
        ),
        Outcome(source="shop-git", type="git", role="application", items=(release, *commits()), took=0.3, requests=5),
        Outcome(source="puppet", type="git", role="infrastructure", items=(manifest,), took=0.2, requests=4),
        Outcome(source="puppetdb", type="puppetdb", items=tuple(runs), took=0.6, requests=3, bytes=96_000),
        Outcome(source="monit", type="monit", items=tuple(restarts), took=0.9, requests=8, bytes=9_200),
        Outcome(source="icinga", type="icinga", items=(alarm,), took=0.4, requests=2, bytes=31_000),
    ]
    if gaps:
        slow = Gap(
            source="logs",
            what="index logstash-slow-2013.05.17",
            kind=GapKind.UNAVAILABLE,
            detail="no such index",
            hint="the database's slow log is not shipped for this hour; ask for its retention",
        )
        down = Gap(
            source="haproxy",
            what="everything",
            kind=GapKind.UNREACHABLE,
            detail="no connection to lb.example:8404: connection refused",
            hint="is the statistics page enabled there? try: opsbrief check haproxy",
        )
        outcomes[1] = Outcome(
            source="logs",
            type="elasticsearch",
            gives=("logs",),
            items=tuple(logs),
            gaps=(slow,),
            took=3.1,
            requests=9,
            bytes=3_640_000,
        )
        outcomes.append(Outcome(source="haproxy", type="http", gaps=(down,), took=0.1, requests=1))
    return Evidence(
        window=window(),
        scope=scope(),
        outcomes=tuple(_numbered(outcomes)),
        collected_at=END + timedelta(seconds=5),
        version="0.1.0",
        redactions={"password": 31, "card": 6},
    )


def _numbered(outcomes: list[Outcome]) -> list[Outcome]:
    count, done = 0, []
    for outcome in outcomes:
        items = []
        for item in outcome.items:
            count += 1
            items.append(replace(item, id=f"E{count}"))
        done.append(replace(outcome, items=tuple(items)))
    return done


def _at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


PARTS = (
    ("commits", Verdict.RULED_OUT, "no commit since Thu 16:20",
     "last commit: Thu 16:20 9f3c2e1000 Rotate the certificates of the load balancer; read: puppet"),
    ("versions", Verdict.RULED_OUT, "41 of 41 nodes reported", "last run 17:12–17:18; version ac97852738"),
    ("resources", Verdict.RULED_OUT, "0 changed resources", "369 runs since 13:02 on 41 nodes"),
    ("packages", Verdict.CANNOT_TELL, "packages outside Puppet not looked at", ""),
    ("alarms", Verdict.RULED_OUT, "no alarm of the infrastructure",
     "alarms read: icinga; 1 alarm of the service itself"),
    ("freeze", Verdict.RULED_OUT, "freeze fri-sun kept", "no commit and no change applied during the freeze"),
)  # fmt: skip


def findings() -> tuple[Finding, ...]:
    onset = Onset(at=_at(2), earliest=_at(1), latest=_at(4))
    shift = {"hosts_total": 8, "series_total": 8, "series_changed": 8}
    made = [
        Finding(
            code="shift",
            subject="connections",
            verdict=Verdict.CHANGED,
            headline="connections: 41.2 → 197 conn on 8 of 8 hosts, rising +3.6/min each (3.5 to 3.7), "
            "began 15:03–15:06, falls only at 8 resets",
            detail="last week's same hours: 40.3 conn; peak 552 conn; ~ 44 min to the limit 400 at this slope",
            basis=tuple(f"E{number}" for number in range(1, 9)),
            score=0.99,
            onset=onset,
            before=41.2,
            after=197.4,
            unit="conn",
            shape="sawtooth",
            hosts=HOSTS,
            facts={
                **shift,
                "direction": "up",
                "worse": "bad",
                "key": 1,
                "limit": 400.0,
                "peak": 461.0,
                "resets": 8,
                "slope_per_minute": 3.6,
                "slope_low": 3.5,
                "slope_high": 3.7,
                "minutes_to_limit": 98.0,
            },
        ),
        Finding(
            code="shift",
            subject="threads",
            verdict=Verdict.CHANGED,
            headline="threads: 120 → 181 threads on 8 of 8 hosts, rising +1.4/min each (1.3 to 1.4), began 15:03–15:06",
            basis=("E25", "E26", "E27"),
            score=0.9,
            onset=onset,
            before=120.0,
            after=181.0,
            unit="threads",
            shape="sawtooth",
            hosts=HOSTS,
            facts={**shift, "direction": "up", "worse": "bad"},
        ),
        Finding(
            code="shift",
            subject="load",
            verdict=Verdict.UNCHANGED,
            headline="load: unchanged, 0.71 → 0.69",
            before=0.71,
            after=0.69,
            facts={**shift, "series_changed": 0},
        ),
        Finding(
            code="shift",
            subject="p95",
            verdict=Verdict.UNCHANGED,
            headline="p95: unchanged, 128 → 131 ms",
            basis=("E73",),
            before=128.0,
            after=131.0,
            unit="ms",
            facts={"impact": 1, "worse": "bad", "series_total": 1},
        ),
        Finding(
            code="impact",
            subject="p95",
            verdict=Verdict.UNCHANGED,
            headline="p95: unchanged, 128 → 131 ms",
            basis=("E73",),
        ),
        Finding(
            code="alibi",
            subject="infrastructure",
            verdict=Verdict.RULED_OUT,
            headline="infrastructure: no commit since Thu 16:20; 41 of 41 nodes reported; 0 changed resources",
            detail="last run 17:12–17:18; packages outside Puppet not looked at; freeze fri-sun kept; no alarm of the "
            "infrastructure; 369 runs since 13:02 on 41 nodes; version ac97852738; no commit and no change applied "
            "during the freeze; alarms read: icinga; 1 alarm of the service itself; read: puppet",
            basis=("E81", "E82"),
        ),
        *(
            Finding(
                code="alibi-part",
                subject=kind,
                verdict=verdict,
                headline=headline,
                detail=covered,
                score=float(9 - place),
                facts={"weighs": int(kind != "packages")},
            )
            for place, (kind, verdict, headline, covered) in enumerate(PARTS)
        ),
        Finding(
            code="blast",
            subject="release 2.14.0",
            verdict=Verdict.CHANGED,
            headline="release 2.14.0 touched 8 of 8 deviating hosts and 0 of 33 others: consistent with it",
            detail="15:02; touched: app1, app2, app3, app4, app5, app6, app7, app8",
            score=3.0,
            onset=Onset(at=START, earliest=START, latest=START),
            hosts=HOSTS,
            facts={
                "kind": "release",
                "touched": 8,
                "touched_deviating": 8,
                "deviating": 8,
                "touched_others": 0,
                "others": 33,
            },
        ),
        Finding(
            code="placebo",
            subject="connections",
            verdict=Verdict.CHANGED,
            headline="0 of 13 placebo deploys gave a change this strong",
            detail="the same test at other instants of the time before and of last weeks",
        ),
        Finding(
            code="log-summary",
            subject="logs",
            verdict=Verdict.CHANGED,
            headline="412,000 lines, 61 patterns: 3 new, 1 exploded, 0 vanished",
            basis=("E76",),
        ),
        Finding(
            code="release",
            subject="2.14.0",
            verdict=Verdict.CHANGED,
            headline="2.13.2..v2.14.0: 3 commits, 2 files",
            detail="touches src/main/java/shop",
            basis=("E77",),
        ),
    ]
    patterns = (
        (Verdict.NEW, "ERROR", "connection * to search-* not released after response, handle *", 0, 14.1, 1, 9),
        (Verdict.EXPLODED, "ERROR", "Timeout waiting for connection from pool 'main' after * ms", 0.02, 2.6, 39, 8),
        (Verdict.NEW, "WARN", "property 'upstream.keepalive' is deprecated", 0, 0.04, 0, 3),
        (Verdict.NEW, "INFO", "GET /api/v2/suggest?q=* 200 * ms", 0, 5.9, 3, 1),
    )
    made += [
        Finding(
            code="log-pattern",
            subject=pattern,
            verdict=verdict,
            headline=f"{verdict}: {pattern}",
            basis=("E76",),
            score=score,
            onset=Onset(at=_at(minute), earliest=_at(minute), latest=_at(minute)),
            hosts=HOSTS,
            facts={
                "level": level,
                "rate_before": before,
                "rate_after": after,
                "rate_last_week": 0.0,
                "count": int(after * 158),
                "example": pattern.replace("*", "17"),
                "code_at": "src/main/java/shop/UpstreamClient.java:88" if score == 9 else None,
            },
        )
        for verdict, level, pattern, before, after, minute, score in patterns
    ]
    instants = (
        (datetime(2013, 5, 16, 14, 20, tzinfo=UTC), "commit", "last commit of the infrastructure"),
        (datetime(2013, 5, 17, 12, 58, 40, tzinfo=UTC), "tag", "tag v2.14.0"),
        (START, "deploy", "deploy 2.14.0"),
        (_at(1), "log", "first new error: connection * to search-* not released"),
        (_at(2), "shift", "connections begin to rise"),
        (_at(97), "restart", "first restart, app1"),
        (END, "end", "end of the window"),
    )
    made += [
        Finding(
            code="timeline",
            subject=kind,
            verdict=Verdict.CHANGED,
            headline=what,
            onset=Onset(at=at, earliest=at, latest=at),
            score=float(10 - number),
        )
        for number, (at, kind, what) in enumerate(instants)
    ]
    return tuple(replace(finding, id=f"F{number}") for number, finding in enumerate(made, 1))
