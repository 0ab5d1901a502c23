from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.test_bundle import NOW, evidence

from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.window import Anchor
from opsbrief.review.diff import Row, diff, fits


def finding(subject: str, verdict: Verdict, after: float | None = None, code: str = "shift") -> Finding:
    return Finding(code=code, subject=subject, verdict=verdict, headline="", after=after, facts={"level": "ERROR"})


def rows(first: list[Finding], second: list[Finding]) -> list[Row]:
    return list(diff(evidence(), first, evidence(), second))


def test_a_bundle_does_not_differ_from_itself() -> None:
    found = [finding("p95", Verdict.CHANGED, 4.0), finding("a <*>", Verdict.NEW, 1.0, "log-pattern")]
    assert rows(found, found) == []


def test_verdicts_and_levels_are_compared_by_subject() -> None:
    first = [finding("p95", Verdict.CHANGED, 100.0), finding("load", Verdict.UNCHANGED, 10.0)]
    second = [finding("load", Verdict.UNCHANGED, 10.9), finding("p95", Verdict.UNCHANGED, 41.0)]
    assert rows(first, second) == [
        Row("verdicts", "p95", "changed", "unchanged"),
        Row("levels", "p95", "100", "41"),
    ]


def test_what_only_one_speaks_of_is_told() -> None:
    assert rows([finding("p95", Verdict.CHANGED, 1.0)], []) == [Row("verdicts", "p95", "changed", "-")]
    assert rows([finding("x", Verdict.CHANGED, 0.0)], [finding("x", Verdict.CHANGED)]) == [
        Row("levels", "x", "0", "no data")
    ]


def test_a_pattern_with_one_more_wildcard_is_the_same() -> None:
    first = [finding("pool main took 3 ms", Verdict.NEW, 1.0, "log-pattern")]
    second = [finding("pool <*> took <*> ms", Verdict.NEW, 1.0, "log-pattern")]
    assert rows(first, second) == rows(second, first) == []
    assert rows(first, []) == [Row("log patterns", "ERROR pool main took 3 ms", "new, 1", "-")]
    assert rows([], second) == [Row("log patterns", "ERROR pool <*> took <*> ms", "-", "new, 1")]


@pytest.mark.parametrize(
    ("pattern", "text", "same"),
    [
        ("a <*> b", "a x b", True),
        ("a <*> b", "a <*> b", True),
        ("a<*>a", "a", False),
        ("<*>", "", True),
        ("a <*> c <*> e", "a b c d e", True),
        ("a <*> c <*> e", "a b d e", False),
        ("<*>x" * 40, "x" * 4000, True),
        ("<*>x" * 40 + "y", "x" * 4000, False),
        ("a", "b", False),
    ],
)
def test_wildcards_take_anything_in_one_look(pattern: str, text: str, *, same: bool) -> None:
    assert fits(pattern, text) is same


def test_window_sources_and_gaps_are_compared() -> None:
    one = evidence()
    window = replace(one.window, end=NOW + timedelta(hours=1), anchor=Anchor("deploy", NOW, "2.15.0"))
    gap = Gap(source="t", what="everything", kind=GapKind.UNREACHABLE, detail="refused")
    other = replace(one, window=window, outcomes=(one.outcomes[0], replace(one.outcomes[1], gaps=(gap,))))
    assert list(diff(one, [], other, [])) == [
        Row("window", "end", "2026-11-20T16:40:00Z", "2026-11-20T17:40:00Z"),
        Row("window", "anchor", "deploy 2.14.0", "deploy 2.15.0"),
        Row("sources", "t", "git, ok", "git, failed"),
        Row("gaps", "t: everything", "-", "unreachable: refused"),
    ]
