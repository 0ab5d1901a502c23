"""The puppetdb source against a real PuppetDB with a real PostgreSQL, fed with runs of the past."""

from datetime import datetime, timedelta

import pytest
from tests.system.puppetdb import NOW, READER, STRANGER, PuppetDb, event, report

from opsbrief.cli.probe import Question
from opsbrief.cli.probe import ask as probe
from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Run
from opsbrief.model.scope import Infrastructure, Scope
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.readers.puppet.ask import Ask
from opsbrief.source import Trust
from opsbrief.sources.puppetdb import PuppetDb as Source
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system

OLD, NEW = "d7f05e01942bdddc076af5842eb519951091ca86", "ac9785273a10dddc076af5842eb519951091ca86"
CODED = "e3NoYTI1Nn1kYWJiYjY5NjEyN2NhYjFkYzU4MzY3ZjdhNzEyMjA3OGFkNTBjMGMxMDg3NGRlNjkxOWIwYmQ2MTIyOGRmNzhj"
DIGEST = "{sha256}dabbb696127cab1dc58367f7a7122078ad50c0c10874de6919b0bd61228df78c"


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


WINDOW = Window(start=ago(60), end=NOW, anchor=Anchor("time", ago(60)), before=timedelta(hours=1))


def read(source: Source, window: Window = WINDOW) -> tuple[list[Run], list[Change], list[Gap]]:
    found = list(source.collect(window, Deadline(30)))
    runs = [one for one in found if isinstance(one, Run)]
    return runs, [one for one in found if isinstance(one, Change)], [one for one in found if isinstance(one, Gap)]


def test_the_runs_of_an_incident_come_back_with_all_that_weakens_them(puppetdb: PuppetDb) -> None:
    config = ("File", "/etc/app.conf", [event(f"content changed '{{md5}}1' to '{DIGEST}'", new=CODED)])
    drift = ("File", "/etc/motd", [event("content changed 'a' to 'b' (corrective)")])
    broken = ("Exec", "migrate", [event("'/bin/false' returned 1", "failure", "returns")])
    later = ("File", "/etc/later", [event("", "skipped", None)])
    wish = ("File", "/etc/app.conf", [event("current_value '0644', should be '0600' (noop)", "noop", "mode")])
    decorated = f"pupmaster01-production-{NEW[:12]}"
    puppetdb.store(
        report("tale1.shop.example", ago(400), OLD),
        report("tale1.shop.example", ago(130), OLD),
        report("tale1.shop.example", ago(30), decorated, config, drift),
        report("tale2.shop.example", ago(130), OLD),
        report("tale2.shop.example", ago(30), decorated, config, broken, later),
        report("tale3.shop.example", ago(130), "1795392412"),
        report("tale3.shop.example", ago(30), "1795392419", wish, noop=True, noop_pending=True),
        report("tale4.shop.example", ago(130), OLD),
        report("tale4.shop.example", ago(30), OLD, cached_catalog_status="on_failure"),
        report("tale5.shop.example", ago(130), OLD, producer="tale5.shop.example"),
    )
    hosts = ("tale1", "tale2", "tale3", "tale4", "tale5")
    runs, changes, gaps = read(Source(name="puppet", url=puppetdb.url, scope=Scope(hosts=hosts)))
    assert gaps == []
    assert {(run.host, run.in_window, run.version, run.status) for run in runs} == {
        ("tale1", False, OLD, "unchanged"), ("tale1", True, NEW[:12], "changed"),
        ("tale2", False, OLD, "unchanged"), ("tale2", True, NEW[:12], "failed"),
        ("tale3", False, "", "unchanged"), ("tale3", True, "", "unchanged"),
        ("tale4", False, OLD, "unchanged"), ("tale4", True, OLD, "unchanged"),
        ("tale5", False, OLD, "unchanged"),
    }  # fmt: skip
    assert len(runs) == 9  # of each node only the last run before the window
    by_host = {run.host: run for run in runs if run.in_window}
    assert (by_host["tale3"].noop, by_host["tale3"].pending, by_host["tale3"].stated) == (True, True, "1795392419")
    assert (by_host["tale2"].changed, by_host["tale2"].failed) == (1, 1)
    assert by_host["tale4"].cached
    assert [run.agent for run in runs if run.host == "tale5"] == [False]
    assert {(one.hosts[0], one.ref, one.state, one.corrective) for one in changes} == {
        ("tale1", "File[/etc/app.conf]", "applied", False), ("tale1", "File[/etc/motd]", "applied", True),
        ("tale2", "File[/etc/app.conf]", "applied", False), ("tale2", "Exec[migrate]", "failed", False),
        ("tale3", "File[/etc/app.conf]", "noop", False),
    }  # fmt: skip
    assert {one.summary for one in changes if one.ref == "File[/etc/app.conf]" and one.state == "applied"} == {
        "content changed '{md5}1' to '{sha256}dabbb696127c…'"
    }


def test_a_run_in_progress_at_the_end_of_the_window_gives_the_changes_made_by_then(puppetdb: PuppetDb) -> None:
    made = ("File", "/etc/a", [event("made", after=5)])
    later = ("File", "/etc/b", [event("made later", after=18)])
    puppetdb.store(
        report("edge.shop.example", ago(200), OLD),
        report("edge.shop.example", NOW + timedelta(seconds=10), NEW, made, later),
    )  # fmt: skip
    runs, changes, _ = read(Source(name="puppet", url=puppetdb.url, scope=Scope(hosts=("edge",))))
    assert [run.in_window for run in runs] == [False]
    assert [one.ref for one in changes] == ["File[/etc/a]"]


def test_nodes_of_which_nothing_is_known_are_named(puppetdb: PuppetDb) -> None:
    puppetdb.store(report("gone1.shop.example", ago(30), OLD), report("gone2.shop.example", ago(30), OLD))
    puppetdb.deactivate("gone2.shop.example")
    puppetdb.facts("mute.shop.example")
    hosts = ("gone1", "gone2", "gone3", "mute")
    runs, _, gaps = read(Source(name="puppet", url=puppetdb.url, scope=Scope(hosts=hosts)))
    assert [run.host for run in runs] == ["gone1"]
    told = {gap.what: gap.detail for gap in gaps}
    assert list(told) == [
        "node gone2.shop.example", "node gone3", "node mute.shop.example",
        "the run before the window of node gone1.shop.example",
    ]  # fmt: skip
    assert told["node gone2.shop.example"].startswith("deactivated in PuppetDB on 20")
    assert told["node gone3"].startswith("PuppetDB does not know it; it knows ")
    assert told["node mute.shop.example"] == "it has never sent a report"
    assert {gap.kind for gap in gaps} == {GapKind.UNAVAILABLE}


def test_a_client_certificate_opens_the_door_and_a_strangers_does_not(puppetdb: PuppetDb) -> None:
    puppetdb.store(report("locked.shop.example", ago(30), OLD))

    def ask(**tls: str) -> list[Run]:
        own = Trust(**tls)
        return read(Source(name="puppet", url=puppetdb.secure, tls=own, scope=Scope(hosts=("locked",))))[0]

    assert [run.host for run in ask(**puppetdb.certificate(READER))] == ["locked"]
    for tls in (puppetdb.certificate(STRANGER), {"ca_file": puppetdb.certificate(READER)["ca_file"]}):
        with pytest.raises(SourceError) as raised:
            ask(**tls)
        assert raised.value.kind is GapKind.UNAUTHORIZED, raised.value
    with pytest.raises(SourceError) as raised:
        ask()
    assert raised.value.kind is GapKind.UNREACHABLE
    assert "tls.ca_file" in raised.value.hint


def test_a_field_that_it_does_not_know_is_left_out_or_said(puppetdb: PuppetDb) -> None:
    puppetdb.store(report("field.shop.example", ago(30), OLD))
    source = Source(name="puppet", url=puppetdb.url)
    where = ["=", "certname", "field.shop.example"]
    with source.client(Deadline(30)) as http:
        kind = Ask("puppet", puppetdb.url, http, frozenset({"mood"}))
        (page,) = kind.pages("reports", ("certname", "mood"), where, (("certname", "asc"),), 10)
        assert (page.rows, page.total) == ([{"certname": "field.shop.example"}], 1)
        strict = Ask("puppet", puppetdb.url, http, frozenset())
        with pytest.raises(SourceError, match="it does not know the field mood of reports"):
            list(strict.pages("reports", ("certname", "mood"), where, (("certname", "asc"),), 10))
        with pytest.raises(SourceError, match="it does not know the field mood of events"):
            list(strict.pages("events", ("certname",), ["=", "mood", "x"], (("certname", "asc"),), 10))
        with pytest.raises(SourceError, match="refuses the question about events") as raised:
            list(strict.pages("events", ("certname",), ["nearly", "certname", "x"], (("certname", "asc"),), 10))
    assert raised.value.kind is GapKind.REJECTED


def test_what_is_no_puppetdb_says_what_the_url_is(puppetdb: PuppetDb) -> None:
    with pytest.raises(SourceError) as raised:
        read(Source(name="puppet", url=f"{puppetdb.url}/pdb/query/v4", scope=Scope(hosts=("app1",))))
    assert raised.value.kind is GapKind.REJECTED


def test_a_rollout_of_a_package_is_a_deploy_and_the_way_back_is_one(puppetdb: PuppetDb) -> None:
    def package(old: str, new: str, status: str = "success") -> tuple[str, str, list[dict[str, object]]]:
        return "Package", "shop", [event(f"ensure changed '{old}' to '{new}'", status, "ensure", old, new)]

    puppetdb.store(
        report("pkg1.shop.example", ago(50), NEW, package("2.13.0", "2.14.0")),
        report("pkg2.shop.example", ago(40), NEW, package("2.13.0", "2.14.0")),
        report("pkg3.shop.example", ago(35), NEW, package("2.13.0", "2.14.0", "failure")),
        report("pkg1.shop.example", ago(20), OLD, package("2.14.0", "2.13.0"), ("File", "/etc/x", [event("made")])),
        report("pkg9.shop.example", ago(20), OLD, package("7", "8")),  # not one of the service's
    )
    scope = Scope(hosts=("pkg1", "pkg2", "pkg3"))
    for pattern in ("Package[shop]", "package[sh*p]", "Class[app]"):
        source = Source(name="puppet", url=puppetdb.url, rollouts=(pattern,), scope=scope)
        found = list(source.deploys(ago(180), NOW, Deadline(30)))
        assert [(one.ref, one.rollback) for one in found if isinstance(one, Deploy)] == [
            ("2.14.0", False), ("2.13.0", True)
        ]  # fmt: skip
    assert isinstance(found[0], Deploy)
    assert found[0].note == (
        "Package[shop] 2.13.0 → 2.14.0 on 2 nodes, first pkg1, last pkg2 10m later; failed on pkg3"
    )
    _, changes, _ = read(Source(name="puppet", url=puppetdb.url, rollouts=("Package[shop]",), scope=scope))
    assert [(one.kind, one.ref) for one in changes] == [
        ("resource", "File[/etc/x]"), ("deploy", "2.14.0"), ("deploy", "2.13.0")
    ]  # fmt: skip
    none = Source(name="puppet", url=puppetdb.url, rollouts=("Package[none]",), scope=scope)
    assert list(none.deploys(ago(180), NOW, Deadline(30))) == []


def test_check_says_how_many_nodes_it_hears_of_and_how_old_the_newest_run_is(puppetdb: PuppetDb) -> None:
    puppetdb.store(report("probe1.example", ago(130), OLD), report("probe2.example", ago(150), OLD))
    scope = Scope(infrastructure=Infrastructure(nodes=("probe*",)))
    (found,) = probe([Question("puppetdb", Source(name="puppet", url=puppetdb.url, scope=scope))], WINDOW)
    assert found.fine, found.gaps
    assert found.words == ("runs of 2 nodes, newest 2h 10m old",)


def test_a_thousand_reports_are_read_whole_and_a_limit_says_what_is_left_out(crowd: PuppetDb) -> None:
    scope = Scope(infrastructure=Infrastructure(nodes=("many*",)))
    runs, changes, gaps = read(Source(name="puppet", url=crowd.url, scope=scope))
    assert (len(runs), len(changes)) == (1000, 100)
    (gap,) = gaps
    assert gap.what.startswith("the run before the window of nodes many0.example, many1.example, many10.example, ")
    assert gap.what.endswith(" and 15 others")
    runs, _, gaps = read(Source(name="puppet", url=crowd.url, scope=scope, max_reports=300))
    assert len(runs) == 300
    assert min(run.at for run in runs) > ago(47)
    assert "300 of 1,000 were read, the newest" in [gap.detail for gap in gaps]
