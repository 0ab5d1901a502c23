"""The alibi: a quiet case in which everything was read, and what each single fact against it does to the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.evidence_of import DEPLOY, commit, evidence, only, origin, outcome, resource, run, window

from opsbrief.analysis import alibi as question
from opsbrief.analysis.alibi.packages import changes as installed
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Event, Evidence, FileStat, Gap, Outcome, Reading, Run
from opsbrief.model.finding import Finding, Onset, Verdict
from opsbrief.model.scope import Infrastructure, weekdays
from opsbrief.phrase import zone

HOSTS = ("app1", "app2", "app3")
RUNS = (-150, -120, -90, -60, -30, 0, 30, 60, 90)  # minutes: one every half an hour, the first before the window
LAST = "0ld1234"  # the last commit before
NOT, CANNOT, OUT = Verdict.NOT_RULED_OUT, Verdict.CANNOT_TELL, Verdict.RULED_OUT


def gap(source: str, detail: str = "not finished within 30 s", span: str = "") -> Gap:
    return Gap(source=source, what="everything", kind=GapKind.TIMEOUT, detail=detail, span=span)


def event(minutes: float, service: str, state: str = "CRITICAL", host: str = "app1", kind: str = "state") -> Event:
    return Event(
        at=DEPLOY + timedelta(minutes=minutes), host=host, service=service, state=state, state_type="hard",
        kind=kind, origin=origin("icinga"),  # type: ignore[arg-type]  # a literal
    )  # fmt: skip


def reading(text: str, host: str = "app1", command: str = "tail -n 200 /var/log/dpkg.log", status: int = 0) -> Reading:
    return Reading(host=host, command=command, exit_status=status, stdout=text, stderr="", at=DEPLOY,
                   origin=origin("host"))  # fmt: skip


def shipped(host: str) -> Change:
    """Return a release that Puppet itself brought, as its source tells it."""
    return Change(kind="deploy", at=DEPLOY, ref="2.0", summary="Package[shop] 1.9 → 2.0", role="application",
                  hosts=(host,), origin=origin("puppetdb"))  # fmt: skip


@dataclass
class Case:
    """A quiet afternoon: Git, PuppetDB and Icinga were read whole and nothing happened. A test changes one fact."""

    commits: list[Change] = field(default_factory=lambda: [commit(-1320, ref=LAST)])
    runs: list[Run] = field(default_factory=lambda: [run(at, host) for host in HOSTS for at in RUNS])
    resources: list[Change] = field(default_factory=list)
    events: list[Event] = field(default_factory=lambda: [event(-300, "disk /", "OK")])
    readings: list[Reading] = field(default_factory=list)
    gaps: dict[str, list[Gap]] = field(default_factory=lambda: {"git": [], "puppetdb": [], "icinga": []})
    without: set[str] = field(default_factory=set)
    ground: Infrastructure = field(default_factory=lambda: Infrastructure(freeze="fri-sun"))
    onset: float | None = None  # minutes after DEPLOY at which a metric began to rise
    hosts: tuple[str, ...] = HOSTS

    def each(self, change: Callable[[Run], Run], host: str = "app3", since: float = 0) -> None:
        """Change the runs of one host from an instant on."""
        late = DEPLOY + timedelta(minutes=since)
        self.runs = [change(one) if one.host == host and one.at >= late else one for one in self.runs]

    def drop(self, wanted: Callable[[Run], bool]) -> None:
        self.runs = [one for one in self.runs if not wanted(one)]

    def evidence(self) -> Evidence:
        kinds = {
            "git": lambda g: outcome("manifests", "git", *self.commits, role="infrastructure", gaps=g),
            "puppetdb": lambda g: outcome("puppetdb", "puppetdb", *self.runs, *self.resources, gaps=g),
            "icinga": lambda g: outcome("icinga", "icinga", *self.events, gaps=g),
        }
        made = [make(tuple(self.gaps[name])) for name, make in kinds.items() if name not in self.without]
        if self.readings:
            made.append(outcome("host", "ssh", *self.readings))
        return evidence(*made, hosts=self.hosts, ground=self.ground)

    def found(self) -> list[Finding]:
        return list(question.find(self.evidence(), self.shifts()))

    def shifts(self) -> list[Finding]:
        if self.onset is None:
            return []
        at = DEPLOY + timedelta(minutes=self.onset)
        onset = Onset(at=at, earliest=at - timedelta(minutes=1), latest=at + timedelta(minutes=1))
        verdict = Verdict.CHANGED if self.onset >= 0 else Verdict.BEGAN_BEFORE
        return [Finding(code="shift", subject="conn", verdict=verdict, headline="conn", onset=onset, hosts=HOSTS)]

    def judged(self) -> Finding:
        return only(self.found(), "alibi")


Edit = Callable[[Case], object]


def versioned(host: str, since: float, version: str) -> Edit:
    return lambda case: case.each(lambda one: replace(one, version=version, stated=version), host, since)


def excused(*files: str, gaps: bool = False) -> Edit:
    """Everything moved on to a commit of which Git shows all files."""

    def edit(case: Case) -> None:
        case.ground = Infrastructure(paths=("modules/shop",))
        touched = tuple(FileStat(name) for name in files)
        # newest first, as git gives them
        case.commits = [
            replace(commit(-100, ref="b" * 40), files=touched),
            replace(commit(-1320, ref="ac97852" + "0" * 33), files=(FileStat("modules/shop/init.pp"),)),
        ]
        for host in HOSTS:
            versioned(host, -60, "b" * 40)(case)
        if gaps:
            case.gaps["git"].append(gap("manifests"))

    return edit


#: What happened, the change to the quiet case, the verdict, and words that must be said.
SITUATIONS: list[tuple[str, Edit, Verdict, tuple[str, ...]]] = [
    ("nothing", lambda _: None, OUT, ("no commit since Thu 17:00", "3 of 3 nodes reported", "0 changed resources")),
    ("a commit before", lambda c: c.commits.append(commit(-119)), NOT, ("1 commit since 13:00", "tune ntp")),
    ("a commit after", lambda c: c.commits.append(commit(60)), NOT, ("1 commit since 13:00", "0 of 3 nodes")),
    ("a commit of unknown files", excused(), NOT, ("1 commit",)),
    ("a commit elsewhere, applied", excused("modules/mail/init.pp"), OUT, ("touch none of the paths that matter",)),
    ("one that matters, applied", excused("modules/shop/init.pp"), NOT, ("version ac97852 → bbbbbbbbbb",)),
    ("one of them matters", excused("README", "modules/shop/a.pp"), NOT, ("→ bbbbbbbbbb",)),
    ("an excuse Git did not show whole", excused("modules/mail/init.pp", gaps=True), NOT, ("→ bbbbbbbbbb",)),
    ("no repository", lambda c: c.without.add("git"), CANNOT, ("no infrastructure repository",)),
    ("a gap in Git", lambda c: c.gaps["git"].append(gap("manifests")), CANNOT, ("commits not read whole", "30 s")),
    ("a gap in last week's Git", lambda c: c.gaps["git"].append(gap("manifests", span="last-week")), OUT, ()),
    ("no Puppet", lambda c: c.without.add("puppetdb"), CANNOT, ("applied state not checked (no Puppet source)",)),
    ("Puppet without a run", lambda c: c.runs.clear(), CANNOT, ("no run known on app1, app2, app3",)),
    ("a gap in Puppet", lambda c: c.gaps["puppetdb"].append(gap("puppetdb", "refused")), CANNOT, ("refused",)),
    ("a node that never reports", lambda c: c.drop(lambda r: r.host == "app3"), CANNOT, ("no run known on app3",)),
    ("no run before", lambda c: c.drop(lambda r: r.host == "app3" and r.at < DEPLOY), CANNOT,
     ("no run before 15:00 on app3", "2 of 3 nodes reported")),
    ("no run after", lambda c: c.drop(lambda r: r.host == "app3" and r.at >= DEPLOY), CANNOT,
     ("no run after 15:00 yet on app3", "ask again after 17:05")),
    ("no run after it began", lambda c: (c.drop(lambda r: r.host == "app2" and r.at > DEPLOY + timedelta(minutes=40)),
                                         setattr(c, "onset", 50.0)), CANNOT, ("no run after 15:51 yet on app2",)),
    ("a run is missing", lambda c: c.drop(lambda r: r.host == "app1" and abs(r.at - DEPLOY) < timedelta(minutes=50)),
     CANNOT, ("a run is missing (usually one every 30 min) on app1",)),
    ("another version", versioned("app3", 0, "bbbb123"), NOT, ("version ac97852 → bbbb123 on app3",)),
    ("another version before", versioned("app2", -30, "bbbb123"), NOT, ("on app2",)),
    ("there and back", lambda c: (versioned("app1", 0, "bbbb123")(c), versioned("app1", 30, "ac97852")(c)), NOT,
     ("ac97852 → bbbb123", "bbbb123 → ac97852")),
    ("the same, abbreviated", versioned("app3", 0, "ac97852aaaa"), OUT, ("3 of 3 nodes reported",)),
    ("no SHA", lambda c: c.each(lambda r: replace(r, version="", stated="1795392412"), since=-999), CANNOT,
     ("no Git SHA", "1795392412", "set config_version")),
    ("noop", lambda c: c.each(lambda r: replace(r, noop=True)), CANNOT, ("noop", "app3")),
    ("noop before", lambda c: c.each(lambda r: replace(r, noop=r.at < DEPLOY), since=-999), CANNOT, ("noop",)),
    ("pending", lambda c: c.each(lambda r: replace(r, noop=True, pending=True)), CANNOT, ("but for noop on app3",)),
    ("a cached catalog", lambda c: c.each(lambda r: replace(r, cached=True)), CANNOT, ("cached catalog on app3",)),
    ("puppet apply", lambda c: c.each(lambda r: replace(r, agent=False)), CANNOT, ("puppet apply", "by hand", "app3")),
    ("a failed run", lambda c: c.each(lambda r: replace(r, status="failed")), CANNOT, ("a run failed on app3",)),
    ("failed resources", lambda c: c.each(lambda r: replace(r, status="failed", failed=2, changed=1), since=90), NOT,
     ("1 resource changed, 2 failed on app3",)),
    ("changed, untold", lambda c: c.each(lambda r: replace(r, status="changed", changed=4), since=90), NOT,
     ("4 resources changed on 1 node", "which is not told")),
    ("changed, uncounted", lambda c: c.each(lambda r: replace(r, status="changed"), since=90), NOT, ("app3",)),
    ("a resource", lambda c: c.resources.append(resource(5)), NOT, ("File[/etc/app.conf] applied on app1 15:05",)),
    ("a resource before", lambda c: c.resources.append(resource(-110)), NOT, ("13:10",)),
    ("long before", lambda c: c.resources.append(resource(-200)), NOT, ("freeze fri-sun broken: 1 resource",)),
    ("long before, no freeze", lambda c: (c.resources.append(resource(-200)), setattr(c, "ground", Infrastructure())),
     OUT, ("0 changed resources",)),
    ("drift", lambda c: c.resources.append(resource(5, corrective=True)), NOT, ("put back (drift) on app1 15:05",)),
    ("a failed resource", lambda c: c.resources.append(resource(5, state="failed")), NOT, ("failed on app1 15:05",)),
    ("a noop resource", lambda c: c.resources.append(resource(5, state="noop")), CANNOT, ("but for noop on app1",)),
    ("many", lambda c: c.resources.extend(resource(5, h, ref=f"Service[{n}]") for h in HOSTS for n in range(4)), NOT,
     ("4 resources changed on 3 nodes", "and 9 more")),
    ("a package", lambda c: c.resources.append(resource(5, ref="Package[openssl]")), NOT,
     ("Package[openssl]", "1 package changed: openssl on app1 15:05")),
    ("no package log", lambda _: None, OUT, ("packages outside Puppet not looked at",)),
    ("a package by hand", lambda c: c.readings.append(
        reading("2026-11-20 15:04:05 upgrade libssl3:amd64 3.0.1-1 3.0.2-1")), NOT,
     ("1 package changed: libssl3 3.0.1-1 → 3.0.2-1 on app1 15:04",)),
    ("an older package", lambda c: c.readings.append(reading("2026-11-18 06:00:00 upgrade tzdata:all 1 2")), OUT,
     ("no package changed on app1",)),
    ("a package log refused", lambda c: c.readings.append(reading("", status=1)), CANNOT,
     ("package log of app1 not read",)),
    ("every package log", lambda c: c.readings.extend(reading("", host) for host in HOSTS), OUT,
     ("package log of app1, app2, app3 read",)),
    ("a look at the package log", lambda c: c.readings.append(replace(reading("+0100"), about="packages")), OUT,
     ("no package changed on app1", "package log of app1 read")),
    ("a look that saw an upgrade", lambda c: (
        c.readings.append(replace(reading(""), about="packages")),
        c.resources.append(resource(4, ref="Package[openssl]", version="", origin=origin("host")))), NOT,
     ("1 package changed: openssl on app1 15:04", "0 changed resources")),
    ("a look that was not permitted", lambda c: c.readings.append(
        replace(reading(""), about="packages", state="not permitted", exit_status=None)), CANNOT,
     ("package log of app1 not read",)),
    ("Puppet brought the release", lambda c: (c.each(lambda r: replace(r, status="changed", changed=1), since=90),
                                              c.resources.append(shipped("app3"))), OUT, ("0 changed resources",)),
    ("and something beside it", lambda c: (c.each(lambda r: replace(r, status="changed", changed=2), since=90),
                                           c.resources.append(shipped("app3"))), NOT, ("2 resources changed",)),
    ("a release on another node", lambda c: (c.each(lambda r: replace(r, status="changed", changed=1), since=90),
                                             c.resources.append(shipped("app2"))), NOT, ("app3",)),
    ("freeze kept", lambda _: None, OUT, ("freeze fri-sun kept",)),
    ("freeze broken earlier", lambda c: c.commits.append(commit(-600)), NOT,
     ("freeze fri-sun broken: 1 commit during it", "broken first at 05:00 by 9f3c2e1")),
    ("freeze broken days ago", lambda c: (setattr(c, "ground", Infrastructure(freeze="mon-sun")),
                                          setattr(c, "commits", [commit(-3000), commit(-2900, ref="feed123")])), OUT,
     ("freeze mon-sun broken: 2 commits during it", "broken first at Wed 13:00")),
    ("no day of the freeze", lambda c: setattr(c, "ground", Infrastructure(freeze="mon-tue")), OUT, ()),
    ("a full disk", lambda c: c.events.append(event(-10, "disk /var", "WARNING")), NOT,
     ("disk /var WARNING on app1 14:50",)),
    ("a host down", lambda c: c.events.append(event(2, "", "DOWN", "app2")), NOT, ("host DOWN on app2 15:02",)),
    ("a clock", lambda c: c.events.append(event(-5, "NTP offset")), NOT, ("NTP offset CRITICAL",)),
    ("an alarm of the service", lambda c: c.events.append(event(48, "http")), OUT, ("1 alarm of the service itself",)),
    ("a soft one", lambda c: c.events.append(replace(event(-10, "disk /"), state_type="soft")), OUT, ()),
    ("a recovery", lambda c: c.events.append(event(-10, "disk /", "OK")), OUT, ()),
    ("memory, after it began", lambda c: (c.events.append(event(60, "memory")), setattr(c, "onset", 3.0)), OUT,
     ("only after the change began: memory CRITICAL on app1 16:00",)),
    ("named alarms", lambda c: (setattr(c, "ground", Infrastructure(alarms=("pgbouncer*",))),
                                c.events.append(event(-9, "pgbouncer pool"))), NOT, ("pgbouncer pool CRITICAL",)),
    ("refused alarms", lambda c: (setattr(c, "ground", Infrastructure(alarms=("!disk*",))),
                                  c.events.append(event(-9, "disk /"))), OUT, ("1 alarm of the service itself",)),
    ("announced work", lambda c: c.events.append(event(-40, "", "START", kind="downtime")), NOT, ("host downtime",)),
    ("the deploy's own downtime", lambda c: c.events.append(event(-4, "", "START", kind="downtime")), OUT, ()),
    ("no Icinga", lambda c: c.without.add("icinga"), OUT, ("alarms not looked at (no source of them)",)),
    ("Icinga refused", lambda c: c.gaps["icinga"].append(gap("icinga", "401")), CANNOT, ("alarms not read whole",)),
    ("an onset before the runs", lambda c: setattr(c, "onset", -119.0), OUT, ()),
    ("an onset before a change", lambda c: (setattr(c, "onset", -100.0), c.resources.append(resource(-200))), NOT, ()),
    ("nodes by pattern", lambda c: (setattr(c, "hosts", ("shop1",)),
                                    setattr(c, "ground", Infrastructure(nodes=("app*",)))),
     OUT, ("3 of 3 nodes",)),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "verdict", "words"), [row[1:] for row in SITUATIONS], ids=[r[0] for r in SITUATIONS])
def test_one_fact_decides(edit: Edit, verdict: Verdict, words: tuple[str, ...]) -> None:
    case = Case()
    edit(case)
    found = case.judged()
    said = " ".join(f"{one.headline}; {one.detail}" for one in case.found())
    assert found.verdict is verdict, said
    for word in words:
        assert word in said


def test_the_headline_of_a_quiet_case_is_short_and_has_its_coverage() -> None:
    found = Case().judged()
    assert found.headline == "infrastructure: no commit since Thu 17:00; 3 of 3 nodes reported; 0 changed resources"
    assert found.detail.startswith(
        "last run 16:30; packages outside Puppet not looked at; freeze fri-sun kept; no alarm"
    )
    assert "24 runs since 13:00 on 3 nodes" in found.detail


def test_git_alone_cannot_rule_out_but_says_what_it_saw() -> None:
    case = Case(without={"puppetdb", "icinga"})
    found = case.judged()
    assert found.verdict is CANNOT
    assert found.headline == "infrastructure: no commit since Thu 17:00; applied state not checked (no Puppet source)"
    assert (found.facts["commits"], found.facts["versions"]) == ("ruled out", "cannot tell")


def test_each_kind_has_a_verdict_of_its_own() -> None:
    parts = [one for one in Case().found() if one.code == "alibi-part"]
    assert {one.subject: str(one.verdict) for one in parts} == {
        "commits": "ruled out",
        "versions": "ruled out",
        "resources": "ruled out",
        "packages": "cannot tell",  # outside Puppet nobody looked
        "alarms": "ruled out",
        "freeze": "ruled out",
    }
    assert [one.facts["weighs"] for one in parts if one.subject == "packages"] == [0]


def test_nothing_configured_cannot_tell() -> None:
    assert only(list(question.find(evidence(), [])), "alibi").verdict is CANNOT


def test_commits_of_the_application_are_none_of_the_infrastructure() -> None:
    case = Case()
    application = outcome("shop", "git", commit(10, role="application"), role="application")
    whole = case.evidence()
    found = question.find(replace(whole, outcomes=(*whole.outcomes, application)), [])
    assert only(list(found), "alibi").verdict is OUT


def test_names_with_a_domain_are_the_services_hosts() -> None:
    case = Case(runs=[run(at, f"{host}.shop.example") for host in HOSTS for at in RUNS])
    assert case.judged().verdict is OUT


def test_agents_that_run_seldom_move_the_stretch_back() -> None:
    case = Case(runs=[run(at, host) for host in HOSTS for at in (-800, -400, 0, 100)], ground=Infrastructure())
    case.commits.append(commit(-500, ref="beef123"))
    assert "1 commit since" in case.judged().headline


# --- never by accident -------------------------------------------------------------------------------------------

MINUTES = st.floats(-119, 119)
HOST = st.sampled_from(HOSTS)
SINCE = st.sampled_from((-150, -90, -30, 0, 30, 60))


def _spoil(draw: st.DrawFn) -> Edit:
    """Draw one fact that takes "ruled out" away."""
    minutes, host, since = draw(MINUTES), draw(HOST), draw(SINCE)
    fields = draw(
        st.sampled_from(
            (
                {"noop": True},
                {"cached": True},
                {"agent": False},
                {"status": "failed"},
                {"status": "changed", "changed": 1},
                {"failed": 1},
                {"version": ""},
                {"version": "bbbb123"},
            )
        )
    )
    state, source = draw(st.sampled_from(("applied", "failed", "noop"))), draw(st.sampled_from(("git", "puppetdb")))
    corrective = draw(st.booleans())

    def last_only(case: Case) -> None:
        # from ``since`` on; a version that was always another one is no change
        limit = max(since, 0) if fields.get("version") else since
        limit = max(limit, -90) if fields.get("changed") or fields.get("failed") else limit
        case.each(lambda one: replace(one, **fields), host, limit)  # type: ignore[arg-type]  # fields of Run

    return draw(
        st.sampled_from(
            (
                lambda case: case.commits.append(commit(minutes, ref="feed123")),
                lambda case: case.resources.append(resource(minutes, host, state=state, corrective=corrective)),
                lambda case: case.gaps[source].append(gap(source)),
                lambda case: case.drop(lambda one: one.host == host),
                lambda case: case.drop(lambda one: one.host == host and one.at >= DEPLOY),
                lambda case: case.drop(lambda one: one.host == host and one.at < DEPLOY),
                last_only,
            )
        )
    )


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_change_failure_noop_gap_or_missing_node_is_ever_ruled_out(data: st.DataObject) -> None:
    case = Case()
    for _ in range(data.draw(st.integers(1, 3))):
        data.draw(st.composite(_spoil)())(case)
    found = case.judged()
    assert found.verdict in (NOT, CANNOT), found.headline
    assert "caused" not in f"{found.headline} {found.detail}"


# --- the rooms ---------------------------------------------------------------------------------------------------


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
    assert Case(ground=Infrastructure(freeze=span)).judged().verdict is OUT


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-11-20 15:04:05 upgrade libssl3:amd64 3.0.1-1 3.0.2-1", ["libssl3 3.0.1-1 → 3.0.2-1"]),
        ("2026-11-20 15:04:05 install jq:amd64 <none> 1.6-2", ["jq:amd64 install 1.6-2"]),
        ("2026-11-20 15:04:05 status half-configured jq:amd64 1.6-2", []),
        ("openssl-libs-3.0.7-27.el9.x86_64              Fri 20 Nov 2026 03:04:05 PM CET",
         ["openssl-libs-3.0.7-27.el9.x86_64"]),
        ("kernel-5.14.0-1.el9.x86_64          Fri Nov 20 15:04:05 2026", ["kernel-5.14.0-1.el9.x86_64"]),
        ("2026-99-20 15:04:05 upgrade a:all 1 2", []),
        ("rubbish", []),
    ],
)  # fmt: skip
def test_package_logs_are_read(line: str, said: list[str]) -> None:
    found = list(installed(reading(line), zone("Europe/Berlin")))
    assert [name for _, name in found] == said
    assert all(at == DEPLOY + timedelta(minutes=4, seconds=5) for at, _ in found)


@pytest.mark.parametrize(
    ("check", "ours"),
    [("disk /", True), ("", True), ("memory", True), ("NTP", True), ("ping4", True), ("http", False),
     ("memcached", False), ("shipping", False), ("Check Disk", True), ("os-memory", True)],
)  # fmt: skip
def test_which_checks_are_the_infrastructures(check: str, ours: bool) -> None:  # noqa: FBT001 - a table
    assert Infrastructure().concerns(check) is ours


def test_a_part_rests_on_ids_of_the_evidence() -> None:
    case = Case()
    case.resources.append(resource(5))
    whole = case.evidence()
    known = {item.id for one in whole.outcomes for item in one.items}
    for finding in question.find(whole, []):
        assert set(finding.basis) <= known


def test_a_window_of_no_length_before_is_looked_at_all_the_same() -> None:
    case = Case()
    short = replace(case.evidence(), window=window(before=0))
    assert only(list(question.find(short, [])), "alibi").verdict in (OUT, CANNOT)


def test_a_source_of_our_own_may_tell_runs() -> None:
    case = Case(without={"puppetdb"})
    whole = case.evidence()
    own = Outcome(source="mine", type="command", items=tuple(case.runs))
    found = question.find(replace(whole, outcomes=(*whole.outcomes, own)), [])
    assert only(list(found), "alibi").verdict is OUT
