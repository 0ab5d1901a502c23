import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.golden import story

from opsbrief.analysis import analyse
from opsbrief.compose import compose, words
from opsbrief.compose.case import folded, message
from opsbrief.compose.receipts import runs
from opsbrief.errors import GapKind
from opsbrief.model.brief import Brief, Scorecard, Table
from opsbrief.model.evidence import Evidence, Gap, Outcome, Run, Series
from opsbrief.model.finding import Finding, Verdict
from opsbrief.render import html, markdown, text

BLAME = re.compile(r"caused by|fault of|because of|root cause|to blame|culprit", re.IGNORECASE)


def nothing() -> Evidence:
    """Return evidence in which every source failed."""
    whole = story.evidence()
    gap = Gap(source="", what="everything", kind=GapKind.TIMEOUT, detail="no answer within 20 s", hint="raise timeout")
    lost = tuple(
        Outcome(
            source=o.source, type=o.type, role=o.role, gives=o.gives, gaps=(replace(gap, source=o.source),), took=20.0
        )
        for o in whole.outcomes
    )
    return replace(whole, outcomes=lost)


def first_page(brief: Brief) -> list[str]:
    return text.render(brief).split("─" * 20)[0].rstrip().split("\n")


def lines(brief: Brief, label: str) -> list[str]:
    """Return the lines under one label, as plain text."""
    return [
        f"{line.text} {line.detail}".strip()
        for section in brief.sections
        for block in section.blocks
        if isinstance(block, Scorecard)
        for line in block.lines
        if line.label == label
    ]


def shift(**changed: Any) -> Finding:
    return replace(story.findings()[0], **changed)


def test_the_verdict_stands_in_the_first_lines() -> None:
    page = "\n".join(first_page(compose(story.evidence(), story.findings()))[:2])
    assert "connections rising since release 2.14.0" in page
    assert "8 of 8 hosts" in page
    assert "infrastructure ruled out" in page.replace("\n", " ")


def test_a_warning_of_a_source_stands_on_the_first_page() -> None:
    whole = story.evidence()
    first, *others = whole.outcomes
    warned = replace(whole, outcomes=(replace(first, warnings=("the certificate is not checked",)), *others))
    page = "\n".join(first_page(compose(warned, story.findings())))
    assert f"{first.source}: the certificate is not checked" in page


def test_a_start_of_weeks_ago_is_said_with_its_date() -> None:
    whole = story.evidence()
    anchor = replace(whole.window.anchor, kind="time")
    window = replace(whole.window, anchor=anchor, start=whole.window.start - timedelta(days=60))
    page = "\n".join(first_page(compose(replace(whole, window=window), story.findings()))[:2])
    assert re.search(r"since [A-Z][a-z]{2} \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d", page)


def test_the_first_page_of_the_story_has_at_most_45_lines() -> None:
    assert len(first_page(compose(story.evidence(gaps=False), story.findings()))) <= 45


def test_only_one_graph_is_on_the_first_page() -> None:
    brief = compose(story.evidence(), story.findings())
    front = [f for s in brief.sections if not s.folded for f in replace(brief, sections=(s,)).figures()]
    assert [figure.name for figure in front] == ["key"]
    assert front[0].chart.traces
    assert front[0].chart.limit == 400


def test_subject_and_pager_fit_where_they_go() -> None:
    brief = compose(story.evidence(), story.findings())
    assert len(brief.subject) <= 120
    assert len(brief.pager) <= 160
    assert "\n" not in brief.subject + brief.pager


def test_the_window_says_both_ends_zone_and_how_it_was_found() -> None:
    brief = compose(story.evidence(), story.findings())
    [window], [found] = lines(brief, "Window"), lines(brief, "Found by")
    assert "Fri 17 May 2013 15:02:11 – 17:40 CEST (13:02:11–15:40 UTC)" in window
    assert "last week and 2 weeks ago" in window
    assert "graphite 15:02:11 (event time), taken" in found
    assert "shop-git 14:58:40 (tag time, 4 min earlier)" in found


def test_every_gap_is_named_with_what_to_do() -> None:
    brief = compose(story.evidence(), story.findings())
    missing = "\n".join(lines(brief, "Missing"))
    for gap in story.evidence().gaps:
        assert gap.source in missing
        assert gap.detail in missing
        assert gap.hint in missing


def test_alike_gaps_are_one_line_and_the_rest_is_counted() -> None:
    gaps = [Gap(source="g", what=f"series {n}", kind=GapKind.UNAVAILABLE, detail="no data") for n in range(40)]
    gaps += [Gap(source="h", what="x", kind=GapKind.BUG, detail=f"defect {n}") for n in range(20)]
    evidence = replace(story.evidence(), outcomes=(Outcome(source="g", type="graphite", gaps=tuple(gaps)),))
    brief = compose(evidence, ())
    missing = lines(brief, "Missing")
    assert "series 0, series 1, series 2 and 37 more" in missing[0]
    assert "13 more gaps in h" in missing[-1]
    [table] = [b for s in brief.sections if s.name == "sources" for b in s.blocks if isinstance(b, Table)][1:]
    assert len(table.rows) == 60


def test_nothing_answered_is_a_brief_of_gaps() -> None:
    evidence = nothing()
    brief = compose(evidence, analyse(evidence))
    assert "cannot tell" in brief.headline
    assert len(lines(brief, "Missing")) == len(evidence.outcomes)
    assert "0 of 8 sources answered" in lines(brief, "Coverage")[0]
    assert not [line for line in lines(brief, "Other changes") if "none" in line]
    unclear = "\n".join(lines(brief, "Cannot tell"))
    for asked in ("infrastructure", "connections", "logs"):
        assert asked in unclear
    assert not lines(brief, "Unchanged")
    [figure] = brief.figures()
    assert figure.chart.empty


def test_no_source_at_all() -> None:
    evidence = replace(story.evidence(), outcomes=(), redactions={})
    brief = compose(evidence, analyse(evidence))
    assert lines(brief, "Coverage") == ["no source was asked"]
    assert text.render(brief)


def test_what_the_analysis_says_can_be_composed() -> None:
    evidence = story.evidence()
    brief = compose(evidence, analyse(evidence))
    assert "connections rising since release 2.14.0" in brief.headline
    assert {figure.name for figure in brief.figures()} >= {"key", "metric-01", "metric-02"}


def test_a_change_that_began_before_does_not_lead() -> None:
    before = shift(verdict=Verdict.BEGAN_BEFORE)
    brief = compose(story.evidence(), [before])
    assert "but from before release 2.14.0" in brief.headline
    assert lines(brief, "Began before")


def test_unchanged_metrics_are_said_to_be_watched_and_unchanged() -> None:
    brief = compose(story.evidence(), [shift(verdict=Verdict.UNCHANGED, shape="")])
    assert brief.headline == "no watched metric changed since release 2.14.0 (Fri 15:02)"
    assert lines(brief, "Unchanged") == ["1 of 1 watched metric"]


def test_a_change_for_the_better_does_not_lead_before_one_for_the_worse() -> None:
    good = shift(subject="cache hits", score=9.0, facts={"worse": "good", "direction": "up"})
    brief = compose(story.evidence(), [good, shift(facts={"worse": "bad", "direction": "up"})])
    assert brief.headline.startswith("connections")


def test_new_errors_lead_where_no_metric_changed() -> None:
    pattern = next(f for f in story.findings() if f.code == "log-pattern")
    brief = compose(story.evidence(), [shift(verdict=Verdict.UNCHANGED), pattern])
    assert brief.headline.startswith("new error in the logs since release 2.14.0")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.RULED_OUT, "; infrastructure ruled out"),
        (Verdict.NOT_RULED_OUT, "; infrastructure not ruled out"),
        (Verdict.CANNOT_TELL, "; infrastructure: cannot tell"),
    ],
)
def test_the_alibi_is_in_the_headline(verdict: Verdict, said: str) -> None:
    alibi = Finding(code="alibi", subject="infrastructure", verdict=verdict, headline="infrastructure: it")
    assert compose(story.evidence(), [alibi]).headline.endswith(said)


@pytest.mark.parametrize("people", [False, True])
def test_people_are_named_only_on_request(people: bool) -> None:  # noqa: FBT001 - a parameter of the test
    brief = compose(story.evidence(), story.findings(), people=people)
    for form in (text.render(brief), markdown.render(brief, {}), html.render(brief, {})):
        assert ("Robin Example" in form) is people


@pytest.mark.parametrize("evidence", [story.evidence(), nothing()], ids=["story", "nothing"])
def test_no_words_of_blame(evidence: Evidence) -> None:
    brief = compose(evidence, analyse(evidence))
    for form in (text.render(brief), markdown.render(brief, {}), html.render(brief, {}), brief.subject, brief.pager):
        assert not BLAME.search(form)


def test_every_id_on_the_page_is_explained_in_the_receipts() -> None:
    brief = compose(story.evidence(), story.findings())
    page = html.render(brief, {})
    cited = set(re.findall(r'href="#([EF]\d+)"', page))
    explained = set(re.findall(r'id="([EF]\d+)"', page))
    assert cited
    assert cited <= explained
    bare = re.findall(r'<span class="ref">\[([^<]+)\]', page)
    assert not bare, "an id without its receipt"


def test_graphs_have_names_of_ours_only() -> None:
    hostile = replace(story.findings()[0], subject="../../etc/passwd")
    brief = compose(story.evidence(), [hostile, *story.findings()[1:4]])
    assert all(re.fullmatch(r"key|metric-\d\d", figure.name) for figure in brief.figures())


def test_the_same_evidence_gives_the_same_brief() -> None:
    one, other = (compose(story.evidence(), story.findings()) for _ in range(2))
    assert html.render(one, {}) == html.render(other, {})


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["app1", "app2", "app3"], ["app1–app3"]),
        (["app1", "app2"], ["app1", "app2"]),
        (["app1", "app3", "app4", "app5", "db"], ["app1", "app3–app5", "db"]),
        (["app01", "app02", "app03"], ["app01–app03"]),
        (["9", "10", "11"], ["9–11"]),
        ([], []),
        (["a", "a1", "b2", "c3"], ["a", "a1", "b2", "c3"]),
    ],
)
def test_hosts_are_folded_to_runs(names: list[str], said: list[str]) -> None:
    assert folded(names) == said


def test_ids_are_folded_to_runs() -> None:
    assert runs(("E1", "E2", "E3", "E7", "F8")) == "E1–E3, E7, F8"
    assert runs(()) == ""


def test_names_are_sorted_as_people_do() -> None:
    assert sorted(["app10", "app2", "app", "²x"], key=words.natural) == ["app", "app2", "app10", "²x"]


def test_a_span_over_midnight_and_over_the_end_of_summer_time() -> None:
    clock = words.Clock("Europe/Berlin")
    start = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)
    assert clock.span(start, start + timedelta(hours=3)) == (
        "Sun 25 Oct 2026 00:30 CEST – 02:30 CET (22:30–Sun 01:30 UTC)"
    )
    late = datetime(2026, 1, 5, 22, 30, tzinfo=UTC)
    assert clock.span(late, late + timedelta(hours=2)).startswith("Mon 5 Jan 2026 23:30 – Tue 6 Jan 2026 01:30 CET")


def test_sizes_and_lengths_of_time() -> None:
    assert [words.size(amount) for amount in (0, 999, 1000, 6_130_000)] == ["0 bytes", "999 bytes", "1 kB", "6.13 MB"]
    assert [words.took(seconds) for seconds in (0.04, 1.84, 21.4)] == ["0.0 s", "1.8 s", "21 s"]


def test_before_and_after_carry_the_unit_once() -> None:
    assert words.arrow(128.0, 131.0, "ms") == "128 → 131 ms"
    assert words.arrow(128.0, None, "ms") == "128 ms → no data"
    assert words.arrow(None, 0.0, "ms") == "no data → 0 ms"


def test_cutting_keeps_whole_words_where_it_can() -> None:
    assert words.cut("one two three", 9) == "one two…"
    assert words.cut("x" * 50_000, 10) == "xxxxxxxxx…"
    assert len(words.cut("word " * 9999, 77)) <= 77


def test_logs_that_gave_nothing_are_said_to_be_unread() -> None:
    evidence = replace(nothing(), scope=replace(story.scope(), logs=()))
    assert "what is new in the logs: no line was read" in lines(compose(evidence, ()), "Cannot tell")


def test_a_given_time_is_named_once() -> None:
    whole = story.evidence()
    anchor = replace(whole.window.anchor, kind="time", ref="", source="")
    brief = compose(replace(whole, window=replace(whole.window, anchor=anchor)), story.findings())
    assert brief.headline.startswith("connections rising since Fri 15:02 on 8 of 8 hosts")
    assert lines(brief, "Found by") == ["--since deploy: a given time"]
    assert any(line.strip() == "↑ Fri 15:02, and 6 more series" for line in first_page(brief))


def test_the_wide_net_is_counted_and_not_told() -> None:
    first, second, *_ = story.findings()
    caught = replace(second, subject="collectd.*.df", facts={**second.facts, "rank": 1})
    brief = compose(story.evidence(), [first, caught])
    assert lines(brief, "Changed")[-1] == "and 1 more metric: collectd.*.df"
    assert lines(compose(story.evidence(), [caught]), "Changed")[0].startswith("threads")


def test_users_are_affected_when_one_of_their_metrics_got_worse() -> None:
    impact = next(f for f in story.findings() if f.code == "impact")
    worse = replace(impact, verdict=Verdict.CHANGED, headline="p95: 128 → 900 ms", facts={"worse": "bad"})
    [told] = lines(compose(story.evidence(), [worse, impact]), "Users")
    assert told == "affected (p95: 128 → 900 ms)"


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("[main] c.e.shop.Config - property is gone", "property is gone"),
        ("[<*>] c.e.shop.web.AccessLog - GET /x", "GET /x"),
        ("c.e.shop.Config : property is gone", "property is gone"),
        ("user - logged in", "user - logged in"),
        ("[warn] disk - full", "[warn] disk - full"),
        ("[main] Config - property is gone", "property is gone"),
        ("timeout: 3 s", "timeout: 3 s"),
        ("http://x.example/ - ", "http://x.example/ -"),
    ],
)
def test_threads_and_loggers_do_not_crowd_out_the_message(pattern: str, shown: str) -> None:
    finding = next(f for f in story.findings() if f.code == "log-pattern")
    assert message(replace(finding, subject=pattern), 100) == shown


def test_a_host_that_does_not_deviate_is_said_to_be_what_was_found_of_it() -> None:
    lead = shift(hosts=("app1", "app2", "app3"))
    of = {
        item.host: item.id for item in story.evidence().items(Series) if item.metric == "connections" and not item.span
    }
    verdicts = {"app4": Verdict.UNCHANGED, "app5": Verdict.BEGAN_BEFORE, "app6": Verdict.CANNOT_TELL}
    single = [
        Finding(code="series", subject=host, verdict=verdict, headline="", basis=(of[host],))
        for host, verdict in verdicts.items()
    ]
    told = "3 of 8 hosts deviate: app1–app3 unchanged on app4; began before on app5; cannot tell on app6; "
    assert lines(compose(story.evidence(), [lead, *single]), "Hosts") == [f"{told}not told on app7 and app8"]
    more = replace(story.evidence(), scope=replace(story.scope(), hosts=("app1", "db1")))
    assert lines(compose(more, [lead]), "Hosts")[0].endswith("not told on app4–app8; no series on db1")


def blast(**facts: int | str | None) -> Finding:
    known = {"kind": "puppet", "touched": 3, "touched_deviating": 3, "deviating": 8, "touched_others": 0, "others": 2}
    headline = "Puppet ac97852 touched 3 of 8 deviating hosts and 0 of 2 others"
    verdict = Verdict.CHANGED
    return Finding(code="blast", subject="Puppet ac97852", verdict=verdict, headline=headline, facts=known | facts)


def test_the_blast_radius_is_told_where_it_tells_hosts_apart() -> None:
    release = next(f for f in story.findings() if f.code == "release")
    assert lines(compose(story.evidence(), [blast()]), "Blast radius") == [blast().headline]
    everywhere = blast(touched_deviating=8, others=0, touched_others=0)
    assert not lines(compose(story.evidence(), [everywhere]), "Blast radius")
    unknown = blast(kind="release", touched=None, touched_deviating=None)
    brief = compose(story.evidence(), [unknown, release])
    assert not lines(brief, "Blast radius")
    assert "not known" not in lines(brief, "The release")[0]


def test_the_release_says_of_itself_on_which_hosts_it_was() -> None:
    brief = compose(story.evidence(), story.findings())
    assert "on 8 of 8 deviating hosts and 0 of 33 others" in lines(brief, "The release")[0]
    assert not lines(brief, "Blast radius")


def test_thresholds_that_were_moved_stand_among_the_changes() -> None:
    moved = Finding(
        code="threshold",
        subject="conn",
        verdict=Verdict.CHANGED,
        headline="threshold of conn changed 300 → 400 at 14:10 by commit 9f3c2e1",
        detail="conf.d/app.conf:12: conn = 400",
    )
    [told] = lines(compose(story.evidence(), [moved]), "Thresholds")
    assert told == "conn changed 300 → 400 at 14:10 by commit 9f3c2e1 conf.d/app.conf:12: conn = 400"


def test_alike_nodes_are_one_row_and_what_differs_stands_first() -> None:
    evidence = story.evidence()
    other = [
        replace(run, version="b" * 40) if run.host == "app3" and run.at > story.START else run
        for run in evidence.items(Run)
    ]
    moved = replace(evidence, outcomes=(Outcome(source="puppetdb", type="puppetdb", items=tuple(other)),))
    brief = compose(moved, story.findings())
    tables = [b for s in brief.sections if s.name == "alibi" for b in s.blocks if isinstance(b, Table)]
    first, second = tables[-1].rows
    assert [cell.text for cell in first][:3] == ["app3", "ac97852738", "bbbbbbbbbb"]
    assert second[0].text.endswith("(40)")
