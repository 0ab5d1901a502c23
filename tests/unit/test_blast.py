from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.evidence_of import DEPLOY, commit, evidence, noise, origin, outcome, resource, run, series

from opsbrief.analysis import analyse
from opsbrief.model.evidence import Change, Event, Item
from opsbrief.model.finding import Finding, Verdict
from opsbrief.model.scope import Metric


def blast(*items: Item, bad: int = 3, all_: int = 5) -> list[Finding]:
    """Return what is said of the changes where the first ``bad`` of ``all_`` hosts deviate."""
    made = []
    for number in range(1, all_ + 1):
        values = noise(number)
        values[122:] += 60 if number <= bad else 0
        made.append(series(values, host=f"app{number}"))
    told = evidence(
        outcome("graphite", "graphite", *made),
        outcome("told", "command", *items),
        metrics=(Metric(target="m", name="m"),),
        hosts=tuple(f"app{number}" for number in range(1, all_ + 1)),
    )
    return [one for one in analyse(told) if one.code == "blast"]


def deploy(*hosts: str) -> Change:
    return Change(kind="deploy", at=DEPLOY, ref="2.0", summary="", hosts=hosts, origin=origin("capistrano"))


def test_a_release_on_exactly_the_deviating_hosts_is_consistent_with_them() -> None:
    (found,) = blast(deploy("app1.shop.example", "app2", "app3"))
    assert found.headline == "release 2.0 touched 3 of 3 deviating hosts and 0 of 2 others: consistent with it"
    assert (found.facts["touched_deviating"], found.facts["touched_others"]) == (3, 0)


def test_one_that_was_everywhere_does_not_explain_who_deviates() -> None:
    (found,) = blast(deploy("app1", "app2", "app3", "app4", "app5"))
    assert found.headline == "release 2.0 touched 3 of 3 deviating hosts and 2 of 2 others"


def test_the_hosts_of_a_release_may_be_unknown() -> None:
    (found,) = blast()
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.headline == "release 2.0: the hosts it touched are not known; 3 of 5 hosts deviate"


def test_where_every_host_deviates_nothing_is_told_apart() -> None:
    (found,) = blast(deploy("app1", "app2"), bad=2, all_=2)
    assert found.headline == "release 2.0 touched 2 of 2 deviating hosts, no other host was compared"


def test_what_fits_the_deviating_hosts_best_comes_first() -> None:
    items = (
        deploy("app1", "app2", "app3", "app4", "app5"),
        *(run(at, f"app{n}", version="bbbb123" if at > 0 and n <= 3 else "ac97852") for n in range(1, 6)
          for at in (-30, 5)),
        resource(8, "app4", version="ac97852"),
    )  # fmt: skip
    found = blast(*items)
    assert [one.subject for one in found] == ["Puppet bbbb123", "release 2.0", "Puppet ac97852"]
    assert found[0].headline.endswith("3 of 3 deviating hosts and 0 of 2 others: consistent with it")
    assert found[2].headline == "Puppet ac97852 touched 0 of 3 deviating hosts and 1 of 2 others"


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (Event(at=DEPLOY - timedelta(minutes=20), host="app1", service="", state="START", kind="downtime",
               output="new switch", origin=origin("icinga")), "downtime 'new switch'"),
        (resource(5, "app1", corrective=True), "drift put back by Puppet"),
        (resource(5, "app1"), "Puppet ac97852"),
    ],
)  # fmt: skip
def test_every_kind_of_change_has_its_hosts(item: Item, name: str) -> None:
    found = {one.subject: one for one in blast(item)}
    assert found[name].headline == f"{name} touched 1 of 3 deviating hosts and 0 of 2 others"
    assert found[name].hosts == ("app1",)


def test_a_commit_is_told_where_its_paths_are_mapped_to_hosts() -> None:
    mapped = replace(commit(-20), hosts=("app1", "app9"))
    found = {one.subject: one for one in blast(mapped, commit(-10, ref="feed123"))}
    assert "commit feed123" not in found
    assert found["commit 9f3c2e1"].headline == "commit 9f3c2e1 touched 1 of 3 deviating hosts and 0 of 2 others"
    assert "not compared: app9" in found["commit 9f3c2e1"].detail


def test_nothing_is_said_where_no_metric_changed() -> None:
    assert not blast(deploy("app1"), bad=0)


def test_no_word_of_a_cause() -> None:
    assert all("caus" not in one.headline + one.detail for one in blast(deploy("app1", "app2", "app3")))
