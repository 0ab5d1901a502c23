"""Several logs about the same deploys become one list of releases."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opsbrief.model.window import Deploy, TimeKind
from opsbrief.releases import NEAR, merge, same

START = datetime(2026, 3, 6, 15, tzinfo=UTC)


def deploy(
    minutes: float, ref: str = "", source: str = "a", kind: TimeKind = TimeKind.EVENT_TIME, *, rollback: bool = False
) -> Deploy:
    return Deploy(START + timedelta(minutes=minutes), ref, "", source, kind, rollback=rollback)


def told(*logs: list[Deploy]) -> list[list[tuple[str, float]]]:
    """Return per release what each log said: (source, minutes)."""
    return [
        [(entry.source, (entry.at - START) / timedelta(minutes=1)) for entry in release.told] for release in merge(logs)
    ]


def test_names_with_and_without_v_and_abbreviated_commits_are_the_same() -> None:
    assert same("v2.14.0", "2.14.0")
    assert same("refs/tags/v2", "V2")
    assert same("9f3c2e1", "9f3c2e1d0aa4b8c9d7e6f5a4b3c2d1e0f9a8b7c6")
    assert not same("2.14.0", "2.14.1")
    assert not same("2.1", "2.14")
    assert not same("", "")


def test_the_first_configured_log_leads_whatever_is_earlier() -> None:
    assert told([deploy(0, "2.14.0", "events")], [deploy(-3, "v2.14.0", "ci")]) == [[("events", 0), ("ci", -3)]]


def test_entries_without_a_name_are_matched_by_time() -> None:
    assert told([deploy(0, "", "a")], [deploy(4, "2.14.0", "b")]) == [[("a", 0), ("b", 4)]]
    assert told([deploy(0, "", "a")], [deploy(6, "2.14.0", "b")]) == [[("a", 0)], [("b", 6)]]


def test_two_versions_within_minutes_are_two_deploys() -> None:
    assert told([deploy(0, "2.14.0", "a")], [deploy(2, "2.14.1", "b")]) == [[("a", 0)], [("b", 2)]]


def test_a_version_and_a_commit_within_minutes_are_one_deploy() -> None:
    assert told([deploy(0, "2.14.0", "a")], [deploy(2, "9f3c2e1", "b")]) == [[("a", 0), ("b", 2)]]


def test_eight_hosts_leave_eight_marks_of_one_deploy() -> None:
    (release,) = merge([[deploy(host * 0.5, "2.14.0") for host in range(8)]])
    assert (release.at, release.marks) == (START, 8)


def test_the_same_version_an_hour_later_is_deployed_again() -> None:
    assert len(merge([[deploy(0, "2.14.0"), deploy(60, "2.14.0")]])) == 2


def test_an_old_tag_belongs_to_the_deploy_of_it() -> None:
    tag = deploy(-3 * 1440, "v2.14.0", "tags", TimeKind.TAG_TIME)
    assert told([deploy(0, "2.14.0", "events")], [tag]) == [[("events", 0), ("tags", -4320)]]
    assert told([tag], [deploy(0, "2.14.0", "events")]) == [[("tags", -4320), ("events", 0)]]


def test_a_rollback_does_not_take_the_old_tag_along() -> None:
    events = [
        deploy(0, "2.13", "events"),
        deploy(2880, "2.14", "events"),
        deploy(2900, "2.13", "events", rollback=True),
    ]
    tags = [deploy(-10, "v2.13", "tags", TimeKind.TAG_TIME), deploy(2870, "v2.14", "tags", TimeKind.TAG_TIME)]
    assert told(events, tags) == [
        [("events", 0), ("tags", -10)],
        [("events", 2880), ("tags", 2870)],
        [("events", 2900)],
    ]


def test_a_log_says_only_one_thing_about_a_release() -> None:
    assert told([deploy(0, "2.13", "a")], [deploy(0.5, "2.13", "b"), deploy(120, "2.13", "b")]) == [
        [("a", 0), ("b", 0.5)],
        [("b", 120)],
    ]


ENTRIES = st.lists(
    st.builds(
        deploy,
        st.integers(0, 300),
        st.sampled_from(["", "1.0", "v1.0", "1.1", "9f3c2e1", "9f3c2e1d0a"]),
        st.just("x"),
        st.sampled_from(TimeKind),
        rollback=st.booleans(),
    ),
    max_size=12,
)


@given(st.lists(ENTRIES, max_size=3))
def test_no_moment_is_lost_and_releases_are_in_order(logs: list[list[Deploy]]) -> None:
    releases = merge(logs)
    assert [release.at for release in releases] == sorted(release.at for release in releases)
    kept = [entry.at for release in releases for entry in release.told]
    for log in logs:
        for entry in log:
            assert any(abs(entry.at - at) <= NEAR * len(log) for at in kept)
    assert all(len(release.told) <= len(logs) for release in releases)


@given(ENTRIES, st.randoms())
def test_the_order_within_a_log_does_not_matter(log: list[Deploy], random: object) -> None:
    shuffled = sorted(log, key=lambda _: random.random())  # type: ignore[attr-defined]  # Hypothesis' Random
    assert [release.at for release in merge([log])] == [release.at for release in merge([shuffled])]
