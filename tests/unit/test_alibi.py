import pytest
from tests.unit.evidence_of import commit, evidence, only, outcome

from opsbrief.analysis import analyse
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Gap, Outcome
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import weekdays

OLD = commit(-22 * 60)
GAP = Gap(source="puppet", what="everything", kind=GapKind.TIMEOUT, detail="not finished within 30 s")


def alibi(*outcomes: Outcome, freeze: str = "") -> Finding:
    return only(analyse(evidence(*outcomes, freeze=freeze)), "alibi")


def repo(*changes: object, gaps: tuple[Gap, ...] = ()) -> Outcome:
    return outcome("puppet", "git", *changes, role="infrastructure", gaps=gaps)  # type: ignore[arg-type]  # Changes


def test_git_alone_cannot_rule_out_but_says_what_it_saw() -> None:
    found = alibi(repo(OLD))
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.headline == "infrastructure: no commit since Thu 17:00; applied state not checked (no Puppet source)"
    assert (found.facts["commits"], found.facts["applied"]) == ("ruled out", "cannot tell")


def test_commits_and_applied_state_together_rule_out() -> None:
    assert alibi(repo(OLD), outcome("puppetdb", "puppetdb")).verdict is Verdict.RULED_OUT


@pytest.mark.parametrize("minutes", [-119, -1, 0, 60, 119])
def test_a_commit_near_the_window_is_never_ruled_out(minutes: float) -> None:
    found = alibi(repo(OLD, commit(minutes)), outcome("puppetdb", "puppetdb"))
    assert found.verdict is Verdict.NOT_RULED_OUT
    assert "tune ntp" in found.detail


@pytest.mark.parametrize(
    ("span", "days"),
    [("fri-sun", {4, 5, 6}), ("Friday", {4}), ("sat - mon", {5, 6, 0}), ("thurs-fri", {3, 4}), ("", set())],
)
def test_a_freeze_is_a_weekday_or_a_span_of_them(span: str, days: set[int]) -> None:
    assert weekdays(span) == days


@pytest.mark.parametrize("span", ["fri-son", "fr", "-", "-fri", "fridays", "fri-sat-sun", "5"])
def test_what_is_no_freeze_is_refused_and_costs_no_brief(span: str) -> None:
    with pytest.raises(ValueError, match="weekday"):
        weekdays(span)
    assert alibi(repo(OLD), freeze=span).verdict is Verdict.CANNOT_TELL


def test_a_gap_takes_the_verdict_away() -> None:
    found = alibi(repo(OLD, gaps=(GAP,)), outcome("puppetdb", "puppetdb"))
    assert (found.verdict, "not finished" in found.detail) == (Verdict.CANNOT_TELL, True)
    found = alibi(repo(OLD), outcome("puppetdb", "puppetdb", gaps=(GAP,)))
    assert found.verdict is Verdict.CANNOT_TELL


def test_nothing_configured_cannot_tell() -> None:
    assert alibi().verdict is Verdict.CANNOT_TELL


def test_commits_of_the_application_are_none_of_the_infrastructure() -> None:
    application = outcome("shop", "git", commit(10, role="application"), role="application")
    assert alibi(repo(OLD), application).facts["commits"] == "ruled out"


def test_the_freeze_is_checked_on_its_days() -> None:
    assert "no commit seen during it" in alibi(repo(OLD), freeze="fri-sun").detail
    assert "1 commit during it" in alibi(repo(commit(5)), freeze="fri-sun").detail
    assert "freeze" not in alibi(repo(OLD), freeze="mon").detail
