"""What a digest says, given what was found of each release."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.golden import story

from opsbrief.compose import episode as told
from opsbrief.compose.weekly import compose
from opsbrief.errors import GapKind
from opsbrief.model.brief import Scorecard, Table
from opsbrief.model.digest import Digest, Episode, Period, Report, change_key, pattern_key, release_key
from opsbrief.model.evidence import Change, Gap
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.window import Deploy
from opsbrief.render import digest as document
from opsbrief.render import html, markdown, text

START = datetime(2013, 5, 12, 22, tzinfo=UTC)  # Monday 00:00 in Berlin
PERIOD = Period(
    name="2013-W20", start=START, end=START + timedelta(days=7), before=timedelta(days=7), zone="Europe/Berlin"
)
NOW = START + timedelta(days=7, hours=6)
CALM = Finding(
    code="shift", subject="connections", verdict=Verdict.UNCHANGED, headline="connections: unchanged, 41 → 42 conn",
    before=41.0, after=42.0, unit="conn", facts={"key": 1},
)  # fmt: skip
LOST = replace(CALM, verdict=Verdict.CANNOT_TELL, before=None, after=None, headline="connections: cannot tell")


def episode(*findings: Finding, ref: str = "2.14.0", hours: float = 100, **more: object) -> Episode:
    at = START + timedelta(hours=hours)
    deploy = Deploy(at, ref, "", "deploylog")
    made = Episode(
        deploy=deploy, known_by=("deploylog",), previous=None, start=at, end=at + timedelta(hours=4), findings=findings
    )
    return replace(made, **more)  # type: ignore[arg-type] # any field


def bad(**more: object) -> Episode:
    return episode(*story.findings(), **more)  # type: ignore[arg-type] # any field


def digest(*reports: Report, told_before: dict[str, dict[str, str]] | None = None, now: datetime = NOW) -> Digest:
    return Digest(period=PERIOD, reports=reports, now=now, version="1.0", told=told_before or {})


def page(made: Digest) -> str:
    """Return the first page as one line of text."""
    return " ".join(text.render(compose(made)).split("─" * 20)[0].split())


def whole(made: Digest) -> str:
    return " ".join(text.render(compose(made)).split())


def test_the_headline_counts_releases_and_names_those_after_which_something_changed() -> None:
    made = digest(
        Report(service="shop", episodes=(bad(),)), Report(service="billing", episodes=(episode(CALM, ref="3.1"),))
    )
    brief = compose(made)
    assert brief.headline == "2013-W20: 2 releases of 2 services; something changed after shop 2.14.0"
    assert brief.tone == "bad"
    assert brief.service == "2 services"


def test_the_most_telling_release_stands_first_and_says_what_changed() -> None:
    first = page(digest(Report(service="shop", episodes=(episode(CALM, ref="2.13.9", hours=9), bad()))))
    assert first.index("SHOP 2.14.0") < first.index("SHOP 2.13.9")
    assert "connections rising on 8 of 8 hosts" in first
    assert "no watched metric changed" in first


def test_a_week_without_releases_is_one_line() -> None:
    made = digest(Report(service="shop", comparison=(CALM,)), Report(service="billing", comparison=(CALM,)))
    assert compose(made).headline == "2013-W20: no release"
    assert "NO RELEASE shop and billing" in page(made)


def test_what_could_be_compared_with_nothing_is_said_aloud() -> None:
    made = digest(Report(service="shop", episodes=(episode(LOST),), comparison=(LOST,)))
    first = page(made)
    assert "cannot tell: compared with nothing" in first
    assert "COMPARED WITH nothing for shop: no data of the week before" in first
    assert compose(made).tone == "unknown"
    assert "Compared with nothing" in whole(made)


def test_the_first_digest_says_that_everything_is_news() -> None:
    report = Report(service="shop", episodes=(bad(),))
    assert "everything is news" in page(digest(report))
    assert "everything is news" not in page(digest(report, told_before={"shop": {"x": "2013-W19"}}))


def test_logs_that_cannot_tell_are_no_good_news() -> None:
    made = episode(CALM, logs=True)
    assert told.tone(made) == "unknown"
    assert told.summary(made) == "no watched metric changed; logs: cannot tell"
    assert told.tone(episode(CALM)) == "good"


def test_a_release_that_was_soon_followed_or_is_young_says_for_how_long_it_was_seen() -> None:
    followed = episode(LOST, cut="2.14.1 followed, 3m after it")
    young = episode(CALM, cut="so far", settled=False)
    assert told.summary(followed) == "cannot tell: 2.14.1 followed, 3m after it"
    assert told.summary(young) == "no watched metric changed (only 4 h so far)"


def test_a_release_that_another_digest_told_is_counted_and_not_told() -> None:
    one = bad()
    made = digest(
        Report(service="shop", episodes=(one,)),
        told_before={"shop": {release_key(one.deploy): "2013-05-06_2013-05-13"}},
    )
    assert compose(made).headline == "2013-W20: no release that was not told before"
    assert "1 release, not repeated" in page(made)
    assert "2.14.0" not in page(made)


def test_the_same_period_again_tells_the_same() -> None:
    one = bad()
    report = Report(service="shop", episodes=(one,))
    keys = {release_key(one.deploy): PERIOD.name} | {pattern_key(f): PERIOD.name for f in one.findings}
    again = compose(digest(report, told_before={"shop": keys}))
    assert again.headline == compose(digest(report)).headline
    assert "not released" in whole(digest(report, told_before={"shop": keys}))


def test_an_old_log_pattern_is_left_out_and_counted() -> None:
    one = bad()
    patterns = told.patterns(one)
    keys = {pattern_key(f): "2013-W19" for f in patterns}
    made = digest(Report(service="shop", episodes=(one,)), told_before={"shop": keys})
    assert f"Not repeated: {len(keys)} log patterns, told in 2013-W19." in whole(made)
    assert "New in the logs" not in whole(made)
    assert "new error" not in page(made)


def test_a_pattern_stays_the_same_wherever_its_variable_parts_are_cut() -> None:
    one, other = (
        Finding(code="log-pattern", subject=subject, verdict=Verdict.NEW, headline="", facts={"level": "ERROR"})
        for subject in (
            "connection to <*> not released, handle <*>",
            "connection to search-3 <*> not released, handle 7f",
        )
    )
    louder = replace(one, verdict=Verdict.EXPLODED)
    assert pattern_key(one) == pattern_key(replace(one, subject="Connection to <num> not released,  handle 17"))
    assert len({pattern_key(f) for f in (one, other, louder)}) == 3


def test_gaps_and_lost_services_are_named_on_the_first_page() -> None:
    gap = Gap(source="graphite", what="everything", kind=GapKind.UNREACHABLE, detail="no route", hint="")
    made = digest(
        Report(service="shop", episodes=(bad(gaps=(gap, gap)),)), Report(service="billing", error="no disk left")
    )
    first = page(made)
    assert "0 of 2 services read whole" in first
    assert "shop: 1 gap in graphite" in first
    assert "billing: no disk left" in first
    assert "nothing is known of 1 service" in compose(made).headline


def test_releases_are_compared_with_the_week_before_or_it_is_said_that_nobody_knows() -> None:
    assert "RELEASES 1, the week before: 4" in page(digest(Report(service="a", episodes=(bad(),), earlier=4)))
    unknown = digest(Report(service="a", episodes=(bad(),), earlier=None))
    assert "RELEASES 1, the week before: cannot tell" in page(unknown)
    mixed = digest(Report(service="a", earlier=None), Report(service="b", earlier=2))
    assert "the week before: at least 2" in page(mixed)


def test_releases_that_were_not_looked_at_count_too() -> None:
    assert "RELEASES 61, the week before: 0" in page(digest(Report(service="a", episodes=(bad(),), skipped=60)))


def test_a_week_that_is_going_on_is_said_to_be_so_far() -> None:
    assert ", so far" in page(digest(Report(service="shop"), now=START + timedelta(days=2)))
    assert ", so far" not in page(digest(Report(service="shop")))


def test_restarts_that_became_more_are_a_change_and_fewer_are_none() -> None:
    more, fewer = (episode(CALM, events=(("restarts", *counts),)) for counts in ((0, 6), (6, 0)))
    assert (told.tone(more), told.tone(fewer)) == ("bad", "good")
    assert "restarts 0 → 6" in told.summary(more)


@pytest.mark.parametrize("count", [1, 200])
def test_the_first_page_is_short_however_large_the_fleet(count: int) -> None:
    reports = tuple(Report(service=f"service{number}", episodes=(bad(),)) for number in range(count))
    first = text.render(compose(digest(*reports))).split("─" * 20)[0].splitlines()
    assert len(first) <= 75
    tables = [
        block for section in compose(digest(*reports)).sections if not section.folded for block in section.blocks
        if isinstance(block, Table)
    ]  # fmt: skip
    assert sum(table.cut for table in tables) == max(0, count - 30)


def test_no_form_blames_or_names_a_person_and_every_form_can_be_written() -> None:
    brief = compose(digest(Report(service="shop", episodes=(bad(),))))
    pages = [text.render(brief), markdown.render(brief, {}), html.render(brief, {})]
    for one in pages:
        assert not re.search(r"caused by|fault of|because of|root cause|to blame|culprit", one, re.IGNORECASE)
        assert "2.14.0" in one
    assert len(brief.subject) <= 120
    assert len(brief.pager) <= 160


def test_the_document_has_the_releases_with_their_findings_and_no_author() -> None:
    made = digest(Report(service="shop", episodes=(bad(),)))
    data = document.data(made, compose(made))
    (service,) = data["services"]  # type: ignore[misc] # JSON
    assert data["format"] == "opsbrief.weekly/1"
    assert service["releases"][0]["deploy"]["ref"] == "2.14.0"
    assert {finding["code"] for finding in service["releases"][0]["findings"]} >= {"shift", "log-pattern"}
    assert b'"author"' not in document.artifact(made, compose(made)).data


def test_hostile_names_stay_text() -> None:
    nasty = "<script>alert(1)</script>\x1b[2J\u202e"
    one = episode(CALM, ref=nasty)
    brief = compose(digest(Report(service="shop", episodes=(one,), failed=(replace(one.deploy, succeeded=False),))))
    for shown in (html.render(brief, {}), text.render(brief)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<script" not in html.render(brief, {})
    cards = [block for section in brief.sections for block in section.blocks if isinstance(block, Scorecard)]
    assert all("\n" not in line.text for card in cards for line in card.lines)


def resource(host: str, name: str = "a", **fields: object) -> Change:
    made = Change(
        kind="resource", at=START + timedelta(hours=30), ref=f"File[/etc/{name}]", summary="changed", state="applied",
        role="infrastructure", hosts=(host,), version="ac97852738", origin=story.origin("puppetdb", "events"),
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type] # any field


def test_what_puppet_did_in_the_week_is_one_row_a_version() -> None:
    changes = [resource(f"app{n}", name) for n in (1, 2, 3) for name in "ab"]
    changes.append(resource("app9", corrective=True, version=""))
    made = digest(Report(service="shop", changes=tuple(changes), watched=True))
    assert "INFRASTRUCTURE Puppet changed 7 resources on 4 nodes, 1 of them changed by hand before" in page(made)
    said = whole(made)
    assert "Puppet applied on 3 nodes" in said
    assert "Puppet put back what was changed by hand on 1 node" in said


def test_a_resource_that_changes_every_week_is_news_every_week() -> None:
    one, later = resource("app1"), resource("app1", at=START + timedelta(days=5))
    assert change_key(one) != change_key(later)
    assert change_key(one) == change_key(replace(one, summary="other words"))
