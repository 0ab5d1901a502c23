import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import numpy as np
import pytest

from opsbrief import bundle, pipeline
from opsbrief.errors import BundleError, GapKind
from opsbrief.mask import check, mask
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import (
    Change,
    Event,
    Evidence,
    Gap,
    LogRecord,
    LogSample,
    Origin,
    Outcome,
    Reading,
    Series,
)
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Window

NOW = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
ORIGIN = Origin(source="graphite", query="POST /render", url="https://graphite.example.com/render", fetched_at=NOW)
SECRET = re.compile(
    r"(?i)app1|app2|\bdb7\b|batch|example[._]com|10[._-]1[._-]2[._-]3|2001:db8|anna|berta|muster|vault9|jump", re.ASCII
)


def evidence(*lines: str) -> Evidence:
    times = int((NOW - timedelta(hours=4)).timestamp())
    values = np.concatenate([np.full(120, 40.0), np.linspace(40, 400, 120)]) + np.arange(240) % 3
    series = [
        Series(
            name=f"collectd.{name}.conn", start=times, step=60, values=values, metric="conn", host=host, origin=ORIGIN
        )
        for name, host in (("app1_example_com", "app1.example.com"), ("app2_example_com", "app2.example.com"),
                           ("batch1_example_com", ""), ("10_1_2_3", ""))
    ]  # fmt: skip
    records = tuple(
        LogRecord(timestamp=NOW - timedelta(minutes=n), body=text, severity_text="ERROR",
                  resource={"host.name": "app1.example.com"}, attributes={"user.name": "anna", "thread": "7"})
        for n, text in enumerate(lines, 1)
    )  # fmt: skip
    sample = LogSample(
        query="host:app*", span="incident", start=NOW - timedelta(hours=2), end=NOW, total=len(records),
        total_is_exact=True, records=records, origin=replace(ORIGIN, source="logs"),
    )  # fmt: skip
    commit = Change(
        kind="commit", at=NOW - timedelta(hours=1), ref="ab" * 20, summary="Give app2 more memory, says Anna Muster",
        role="infrastructure", author="Anna Muster <anna.muster@example.com>", origin=ORIGIN,
    )  # fmt: skip
    items = (
        *series, sample, commit,
        Event(at=NOW, host="app1.example.com", service="http", state="CRITICAL", output="app1: no", origin=ORIGIN),
        Reading(host="jump", command="ss", exit_status=0, stdout="10.1.2.3:443 app1", stderr="", at=NOW, origin=ORIGIN),
    )  # fmt: skip
    gap = Gap(
        source="logs", what="vault9.lan", kind=GapKind.TIMEOUT, detail="https://app2.example.com:9200 no", hint=""
    )
    numbered = tuple(replace(item, id=f"E{n}") for n, item in enumerate(items, 1))
    start = NOW - timedelta(hours=2)
    return Evidence(
        window=Window(
            start=start, end=NOW, before=timedelta(hours=2),
            anchor=Anchor("deploy", start, "2.14.0", "deployed to app1 by anna.muster@example.com", "log"),
        ),
        scope=Scope(
            service="shop", hosts=("app1.example.com", "app2.example.com"),
            metrics=(Metric(target="collectd.{host}.conn", name="conn", worse="up"),
                     Metric(target="collectd.batch*.conn", rank=True)),
        ),
        outcomes=(Outcome(source="graphite", type="graphite", items=numbered, gaps=(gap,)),),
        collected_at=NOW, version="0.1.0", redactions={"password": 2},
    )  # fmt: skip


def texts(artifact: Artifact) -> list[str]:
    """Return what is text in a file; the parts of a mail are unpacked."""
    if artifact.name.endswith(".eml"):
        message = message_from_bytes(artifact.data, policy=policy.default)
        parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
        return [str(message["Subject"]), *(part if isinstance(part, str) else part.decode() for part in parts)]
    return [] if artifact.name.endswith((".png", ".npy")) else [artifact.data.decode()]


LINES = (
    "connection to app2.example.com (10.1.2.3:8080) lost",
    "APP1 and app2 and 10.1.2.3 again, 2001:db8::17 too",
    "user=berta from ip-10-1-2-3 logged in",
    'mail to berta.muster@example.com failed {"username": "berta"}',
    "cannot read /home/berta/.ssh/config on db7.example.com and vault9.lan",
)


def test_no_form_of_the_brief_and_no_file_of_the_bundle_names_anybody() -> None:
    masked, masker = mask(evidence(*LINES))
    content = bundle.files(masked, pipeline.again(masked, ("html", "md", "txt", "eml"), people=True)[2])
    for artifact in content:
        for text in (artifact.name, *texts(artifact)):
            assert not (found := SECRET.search(text)), (artifact.name, found)
    check(masker, content)


def test_the_same_thing_is_the_same_pseudonym_everywhere() -> None:
    masked, masker = mask(evidence(*LINES))
    (sample,) = masked.items(LogSample)
    assert [record.body for record in sample.records] == [
        "connection to host-2 (ip-1:8080) lost",
        "host-1 and host-2 and ip-1 again, ip-2 too",
        "user=user-3 from ip-1 logged in",
        'mail to mail-2 failed {"username": "user-3"}',
        "cannot read /home/user-3/.ssh/config on host-6 and host-7",
    ]
    assert masked.scope.hosts == ("host-1", "host-2")
    assert {series.name for series in masked.items(Series)} >= {"collectd.host-1.conn", "collectd.host-2.conn"}
    (event,) = masked.items(Event)
    assert (event.host, event.output, event.state) == ("host-1", "host-1: no", "CRITICAL")
    assert set(masker.names["host-1"]) == {"app1.example.com", "app1", "app1_example_com"}
    assert masked.redactions["password"] == 2
    assert masked.redactions["host"] > 10


def test_the_analysis_says_the_same_of_both() -> None:
    original = evidence(*LINES)
    masked, _ = mask(original)
    one, other = (
        [(found.code, found.verdict, found.before, found.after, found.shape) for found in pipeline.again(each, ())[0]]
        for each in (original, masked)
    )
    assert one == other


@pytest.mark.parametrize(
    "text",
    [
        "version 2.14.0.1 started at 15:03:09",
        "request 3f2a:00 took 12:30:11.5",
        "c.e.shop.pool.ConnectionPool: order 4711, trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "127.0.0.1 and ::1 and localhost",
        "999.1.2.3 is no address, 2026-11-20 no more",
        "happ1y and app11 are words of their own",
        "user: not found",
    ],
)
def test_what_is_no_name_stays(text: str) -> None:
    _, masker = mask(evidence())
    assert masker.text(text) == text


def test_masking_twice_changes_nothing() -> None:
    masked, _ = mask(evidence(*LINES))
    again, masker = mask(masked)
    assert {series.name for series in again.items(Series)} == {series.name for series in masked.items(Series)}
    assert all(name == originals[0] for name, originals in masker.names.items() if originals[0].startswith("host-"))


def test_a_file_that_still_names_a_host_is_not_published() -> None:
    _, masker = mask(evidence())
    with pytest.raises(BundleError, match=r"brief\.md would still name a host"):
        check(masker, [Artifact("brief.md", "text/markdown", b"see app2.example.com")])
