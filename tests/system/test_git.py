"""The git source on real repositories: what it finds, what it says it cannot know, what it leaves alone."""

import os
import random
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.system.repository import T0, Import, Repo, environment, fast_import, hours

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Change, Gap, Item, Release
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.readers.history import walk
from opsbrief.readers.history.walk import DEEP
from opsbrief.sources.git import Git, Place
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _own_cache(git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.new(tmp_path / "repo")


def window(ref: str = "", before: str = "", hours_before: float = 2, hours_after: float = 2) -> Window:
    return Window(
        start=T0,
        end=hours(hours_after),
        anchor=Anchor("deploy", T0, ref=ref),
        before=timedelta(hours=hours_before),
        previous=Deploy(hours(-48), before, "", "log") if before else None,
    )


def ask(repo: Repo, asked: Window | None = None, **options: object) -> list[Item | Gap]:
    source = Git(name="repo", path=str(repo.path), **{"role": "infrastructure", **options})  # type: ignore[arg-type]  # options vary
    return list(source.collect(asked or window(), Deadline(60)))


def commits(items: list[Item | Gap]) -> list[Change]:
    return [item for item in items if isinstance(item, Change) and item.kind == "commit"]


def gaps(items: list[Item | Gap]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


def test_commits_of_the_window_and_the_last_before_it(repo: Repo) -> None:
    repo.commit(hours(-30), "long ago")
    repo.commit(hours(-20), "the day before")
    repo.commit(hours(-1), "before the deploy", {"modules/a.pp": "x\ny\n"})
    repo.commit(hours(1), "after it", author="Bob")
    repo.commit(hours(3), "too late")
    found = commits(ask(repo))
    assert [(change.summary, change.in_window) for change in found] == [
        ("after it", True),
        ("before the deploy", True),
        ("the day before", False),
    ]
    assert found[0].author == "Bob"
    assert found[0].branch == "main"
    assert found[1].at == hours(-1)
    assert [(file.path, file.status, file.added) for file in found[1].files] == [("modules/a.pp", "A", 2)]


def test_the_end_of_the_window_is_outside_and_its_start_inside(repo: Repo) -> None:
    repo.commit(hours(-2), "start")
    repo.commit(hours(2), "end")
    assert [change.summary for change in commits(ask(repo)) if change.in_window] == ["start"]


def test_files_are_mapped_to_services_and_hosts(repo: Repo) -> None:
    repo.commit(T0, "one", {"manifests/shop/deep/a.pp": "", "hosts/app1.yaml": "", "README": ""})
    paths = {
        "manifests/shop/**": Place(services=("shop",)),
        "hosts/*.yaml": Place(hosts=("app1", "app2")),
        "other/**": Place(services=("other",)),
    }
    (change,) = commits(ask(repo, paths=paths))
    assert (change.services, change.hosts) == (("shop",), ("app1", "app2"))


def test_only_keeps_the_commits_of_its_paths_and_finds_their_last_one(repo: Repo) -> None:
    repo.commit(hours(-90), "theirs, old", {"prod/a": "1"})
    repo.commit(hours(-50), "not theirs, old", {"test/a": "1"})
    repo.commit(hours(1), "both", {"prod/a": "2", "test/a": "2"})
    repo.commit(hours(1.5), "not theirs", {"test/a": "3"})
    found = commits(ask(repo, only=("prod/**",)))
    assert [(change.summary, [file.path for file in change.files]) for change in found] == [
        ("both", ["prod/a"]),
        ("theirs, old", ["prod/a"]),
    ]


def test_renames_binaries_and_deletions(repo: Repo) -> None:
    repo.commit(hours(-5), "base", {"old name": "text\n" * 50, "gone": "x"})
    repo.git("mv", "old name", "new name")
    repo.git("rm", "-q", "gone")
    (repo.path / "image").write_bytes(bytes(range(256)))
    repo.commit(T0, "all kinds", {})
    files = {file.path: file for file in commits(ask(repo))[0].files}
    assert files["new name"].status == "R"
    assert files["gone"].status == "D"
    assert files["image"].binary


def test_a_merge_says_what_it_brought_and_what_was_not_on_the_branch_yet(repo: Repo) -> None:
    repo.commit(hours(-9), "base")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit(hours(-8), "topic, old")
    repo.commit(hours(-1), "topic, in the window")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "topic", at=hours(1))
    found = {change.summary: change for change in commits(ask(repo))}
    assert found["merge"].merge
    assert [file.path for file in found["merge"].files] == ["topic, in the window", "topic, old"]
    assert not found["topic, in the window"].first_parent
    assert found["topic, in the window"].landed
    early = {change.summary: change for change in commits(ask(repo, window(hours_after=0.5)))}
    assert not early["topic, in the window"].landed
    only_branch = commits(ask(repo, first_parent=True))
    assert [change.summary for change in only_branch] == ["merge", "base"]


def test_a_clock_that_was_wrong_hides_nothing_behind_it(repo: Repo) -> None:
    repo.commit(hours(-5), "before")
    repo.commit(T0, "right time")
    repo.commit(datetime.fromisoformat("1999-01-01T00:00Z"), "clock was reset")
    repo.commit(hours(5), "after")
    plain = repo.git(
        "log", "--format=%s", f"--since={int(hours(-2).timestamp())}", f"--until={int(hours(2).timestamp())}"
    )
    assert plain == "", "git's own --since stops at the wrong clock; if not, this test proves nothing"
    assert [change.summary for change in commits(ask(repo))] == ["right time", "before"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("far", [DEEP, 0], ids=["near", "deep"])
def test_random_histories_give_what_brute_force_gives(
    repo: Repo, seed: int, far: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "DEEP", far)  # 0: any commit newer than the window makes it lie deep
    chance = random.Random(seed)
    history = [Import(int(hours(-8).timestamp()), (), [("f0", b"0")])]
    for number in range(1, 300):
        recent = range(max(0, number - 6), number)
        parents = [number - 1, *({chance.choice(recent)} - {number - 1} if chance.random() < 0.3 else ())]
        skew = chance.choice([0, 0, 0, 0, -86400 * 900, 3600])
        history.append(Import(int(hours(-8).timestamp()) + number * 200 + skew, parents, [(f"f{number}", b"x")]))
    fast_import(repo, history)
    rows = [row.split() for row in repo.git("log", "--format=%H %ct", "main").splitlines()]
    start, end = hours(-2).timestamp(), hours(2).timestamp()
    wanted = {name for name, when in rows if start <= int(when) < end}
    found = [change for change in commits(ask(repo, limit=5000)) if change.in_window]
    assert {change.ref for change in found} == wanted
    assert len(found) == len(wanted)
    chain = set(repo.git("rev-list", "--first-parent", "main").split())
    assert {change.ref for change in found if change.first_parent} == wanted & chain
    tip = repo.git("rev-list", "--first-parent", "-1", f"--until={int(end) - 1}", "main")
    landed = set(repo.git("rev-list", tip).split())
    assert {change.ref for change in found if not change.landed} == wanted - landed - chain


def test_tags_say_which_time_theirs_is(repo: Repo) -> None:
    repo.commit(hours(-1), "one")
    repo.git("tag", "v1")
    repo.git("tag", "-a", "v2", "-m", "second\n\nbody", at=hours(1))
    repo.git("tag", "-a", "other", "-m", "no deploy", at=hours(1))
    tags = {item.ref: item for item in ask(repo) if isinstance(item, Change) and item.kind == "tag"}
    assert (tags["v1"].at, tags["v1"].time_kind) == (hours(-1), TimeKind.COMMIT_TIME)
    assert (tags["v2"].at, tags["v2"].time_kind, tags["v2"].summary) == (hours(1), TimeKind.TAG_TIME, "second")
    source = Git(name="repo", path=str(repo.path), role="application")
    deploys = list(source.deploys(hours(-9), hours(9), Deadline(9)))
    assert [deploy.ref for deploy in deploys if isinstance(deploy, Deploy)] == ["v1", "v2"]


def test_an_instant_is_looked_up_by_tag_and_by_commit(repo: Repo) -> None:
    name = repo.commit(hours(-1), "one")
    repo.git("tag", "-a", "v2.14.0", "-m", "x", at=hours(1))
    source = Git(name="repo", path=str(repo.path), role="application")
    for kind, ref, at in (("tag", "2.14.0", hours(1)), ("tag", "v2.14.0", hours(1)), ("commit", name[:10], hours(-1))):
        found = source.instant(kind, ref, Deadline(9))
        assert found is not None
        assert found.at == at
    for kind, ref in (("tag", "3"), ("commit", "zzz"), ("commit", "--all"), ("commit", ":/one"), ("alert", "v2.14.0")):
        assert source.instant(kind, ref, Deadline(9)) is None


def released(repo: Repo) -> Release:
    (found,) = [item for item in ask(repo, window("2.0", "1.0"), role="application") if isinstance(item, Release)]
    return found


def test_a_release_has_its_commits_files_and_added_lines(repo: Repo) -> None:
    repo.commit(hours(-60), "base", {"src/a.py": "one\ntwo\nthree\n", "src/b.py": "x\n"})
    repo.git("tag", "v1.0")
    repo.commit(hours(-30), "first", {"src/a.py": "one\nlog('pool is empty')\ntwo\nthree\n}\n"})
    repo.commit(hours(-20), "second", {'we"ird\tname': "++ not a header\n+++ b/nor this\n", "src/b.py": ""})
    repo.git("tag", "-a", "-m", "two", "v2.0")
    repo.commit(hours(-1), "after the release")
    found = released(repo)
    assert (found.base, found.head, found.complete) == ("v1.0", "v2.0", True)
    assert [change.summary for change in found.commits] == ["second", "first"]
    assert {file.path: (file.added, file.deleted) for file in found.files} == {
        "src/a.py": (2, 0),
        "src/b.py": (0, 1),
        'we"ird name': (2, 0),
    }
    assert [(added.path, added.line, added.text) for added in found.additions] == [
        ("src/a.py", 2, "log('pool is empty')"),
        ('we"ird name', 1, "++ not a header"),
        ('we"ird name', 2, "+++ b/nor this"),
    ]


def test_every_added_line_stands_where_it_is_said_to(repo: Repo) -> None:
    chance = random.Random(7)
    text = [f"line number {chance.randint(0, 9**9)}" for _ in range(400)]
    repo.commit(hours(-60), "base", {"a": "\n".join(text)})
    repo.git("tag", "v1.0")
    for index in sorted(chance.sample(range(400), 60), reverse=True):
        text[index : index + chance.randint(0, 2)] = [f"changed {chance.randint(0, 9**9)}"] * chance.randint(0, 3)
    repo.commit(hours(-20), "changes", {"a": "\n".join(text)})
    repo.git("tag", "v2.0")
    found = released(repo)
    assert len(found.additions) > 20
    assert all(text[added.line - 1] == added.text for added in found.additions)
    assert len(found.additions) == found.files[0].added


def test_without_refs_the_last_two_deploy_tags_are_compared_and_the_origin_says_so(repo: Repo) -> None:
    for number, at in enumerate((-90, -60, -30, 1), 1):
        repo.commit(hours(at), f"c{number}")
        repo.git("tag", f"v{number}", at=hours(at))
    items = ask(repo, role="application")
    (found,) = [item for item in items if isinstance(item, Release)]
    assert (found.base, found.head) == ("v2", "v3")
    assert "the last deploy tag at or before the window's start" in found.origin.query
    assert not gaps(items)


def test_a_deployed_version_that_is_no_tag_here_is_said(repo: Repo) -> None:
    repo.commit(hours(-60), "one")
    items = ask(repo, window("9.9", "--output=x"), role="application")
    assert [gap.what for gap in gaps(items)] == [
        "the deployed version 9.9",
        "the deployed version --output=x",
        "the release",
    ]


def test_a_rollback_is_called_one(repo: Repo) -> None:
    repo.commit(hours(-60), "old", {"a": "1"})
    repo.git("tag", "v2.0")
    repo.commit(hours(-30), "new", {"a": "2"})
    repo.git("tag", "v1.0")
    found = released(repo)
    assert not found.commits
    assert [file.path for file in found.files] == ["a"]
    assert "rollback" in found.origin.query


def test_a_huge_commit_is_capped_and_the_cap_is_said(repo: Repo) -> None:
    files = [(f"d{number % 50}/f{number}", b"x") for number in range(2500)]
    fast_import(repo, [Import(int(hours(-9).timestamp())), Import(int(T0.timestamp()), [0], files)])
    items = ask(repo)
    assert len(commits(items)[0].files) == 2000
    assert [gap.kind for gap in gaps(items)] == [GapKind.TRUNCATED]
    assert "2,500 files" in gaps(items)[0].detail


def test_more_commits_than_the_limit_are_said(repo: Repo) -> None:
    fast_import(repo, [Import(int(T0.timestamp()) + number, [number - 1] if number else ()) for number in range(30)])
    items = ask(repo, limit=10)
    assert len([change for change in commits(items) if change.in_window]) == 10
    assert [gap.what for gap in gaps(items)] == ["20 of 30 commits on main"]


def test_a_shallow_clone_says_where_its_history_ends(repo: Repo, tmp_path: Path) -> None:
    for number in range(5):
        repo.commit(hours(number / 4 - 0.5), f"c{number}")
    clone = Repo(tmp_path / "clone")
    subprocess.run(
        ["git", "clone", "-q", "--depth=2", f"file://{repo.path}", str(clone.path)], check=True, env=environment()
    )
    items = ask(clone)
    assert any("shallow" in gap.detail for gap in gaps(items))
    newest, oldest = commits(items)
    assert newest.files
    assert not oldest.files, "git would show the whole tree as added by the commit at the edge"


def test_a_clone_that_has_not_fetched_since_says_so(repo: Repo, tmp_path: Path) -> None:
    repo.commit(hours(-9), "one")
    clone = Repo(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(repo.path), str(clone.path)], check=True, env=environment())
    long_ago = hours(-24).timestamp()
    for path in clone.path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    found = [gap for gap in gaps(ask(clone)) if gap.kind is GapKind.UNAVAILABLE]
    assert [gap.what for gap in found] == ["commits pushed after 2026-11-19 15:00 UTC"]
    (clone.path / ".git" / "FETCH_HEAD").touch()
    os.utime(clone.path / ".git" / "FETCH_HEAD", (hours(3).timestamp(),) * 2)
    assert not gaps(ask(clone))


def test_bare_repositories_linked_work_trees_and_detached_heads(repo: Repo, tmp_path: Path) -> None:
    repo.commit(T0, "one")
    linked = Repo(tmp_path / "linked")
    repo.git("worktree", "add", "-q", str(linked.path))
    bare = Repo(tmp_path / "bare")
    subprocess.run(["git", "clone", "-q", "--bare", str(repo.path), str(bare.path)], check=True, env=environment())
    for place in (linked, bare):
        assert [change.summary for change in commits(ask(place))] == ["one"]
    repo.git("checkout", "-q", "--detach")
    (change,) = commits(ask(repo))
    assert change.branch == "HEAD"


def test_what_is_no_repository_or_has_no_commits_is_said(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no commits") as empty:
        ask(repo)
    assert empty.value.kind is GapKind.UNAVAILABLE
    inside = tmp_path / "repo" / "folder"
    inside.mkdir()
    with pytest.raises(SourceError, match="no Git repository"):
        ask(Repo(inside))  # never the one further up


def test_a_branch_that_is_not_there_is_a_gap_and_the_others_are_read(repo: Repo) -> None:
    repo.commit(T0, "one")
    items = ask(repo, branches=("main", "nope", "--all"))
    assert [gap.what for gap in gaps(items)] == ["branch nope", "branch --all"]
    assert len(commits(items)) == 1


def test_foul_names_and_messages_come_out_clean(repo: Repo) -> None:
    subject = "esc \x1b[31m bidi \u202e end"
    foul = os.fsdecode(b"new\nline \x1b \xff")
    (repo.path / foul).write_text("x")
    repo.commit(T0, subject, {}, author="A \x07 \u2066")
    (change,) = commits(ask(repo))
    shown = f"{change.summary}{change.author}{change.files[0].path}"
    assert not any(character in shown for character in "\x1b\x07\n\u202e\u2066")
    assert "\\x1b" in change.summary
    assert change.files[0].added == 1


def test_a_submodule_is_one_file(repo: Repo, tmp_path: Path) -> None:
    other = Repo.new(tmp_path / "other")
    head = other.commit(hours(-9), "one")
    repo.commit(hours(-9), "base")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    repo.git("commit", "-q", "-m", "add submodule", at=T0)
    (change,) = [change for change in commits(ask(repo)) if change.in_window]
    assert [(file.path, file.status) for file in change.files] == [("lib", "A")]


def test_sha256_repositories(tmp_path: Path) -> None:
    repo = Repo.new(tmp_path / "repo", "--object-format=sha256")
    repo.commit(T0, "one")
    assert len(commits(ask(repo))[0].ref) == 64


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_someone_else_needs_allow_owner(repo: Repo) -> None:
    repo.commit(T0, "one")
    for folder, _, names in os.walk(repo.path):
        for name in (".", *names):
            os.chown(os.path.join(folder, name), 65534, 65534)  # noqa: PTH118 - names are strings here
    with pytest.raises(SourceError, match="belongs to another user") as refused:
        ask(repo)
    assert refused.value.kind is GapKind.UNAUTHORIZED
    assert "allow_owner" in refused.value.hint
    assert len(commits(ask(repo, allow_owner="65534"))) == 1
    with pytest.raises(SourceError, match="belongs to uid 65534"):
        ask(repo, allow_owner="65533")


@pytest.fixture
def deep(repo: Repo) -> Repo:
    """Make a history of 7,000 commits, an hour apart, the last one 5,000 hours after the deploy."""
    start = int(hours(-2000).timestamp())
    fast_import(
        repo,
        [
            Import(start + 3600 * number, [number - 1] if number else (), [("f", b"%d" % number)])
            for number in range(7000)
        ],
    )
    return repo


def test_deep_in_a_big_history_a_graph_of_our_own_is_used_and_theirs_is_untouched(deep: Repo, tmp_path: Path) -> None:
    before = deep.snapshot()
    first, again = ask(deep), ask(deep)
    assert deep.snapshot() == before
    assert [change.at for change in commits(first)] == [hours(1), hours(0), hours(-1), hours(-2), hours(-3)]
    assert [change.ref for change in commits(first)] == [change.ref for change in commits(again)]
    assert len(list((tmp_path / "cache").glob("opsbrief/git/*/objects/info/commit-graph"))) == 1
    assert not list((tmp_path / "cache").glob("opsbrief/git/new-*"))


def test_a_graph_of_a_history_that_was_rewritten_does_no_harm(deep: Repo) -> None:
    ask(deep)
    deep.git("update-ref", "refs/heads/main", "main~3000")
    deep.git("-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now")
    deep.git("read-tree", "main")
    deep.commit(hours(1.5), "rewritten")
    found = [change.summary for change in commits(ask(deep)) if change.in_window]
    assert "rewritten" in found
    assert len(found) == 5


def test_a_cache_that_cannot_be_written_costs_only_time(deep: Repo, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(commits(ask(deep))) == 5


def test_a_recent_window_of_a_big_history_leaves_no_cache(deep: Repo, tmp_path: Path) -> None:
    ask(deep, Window(start=hours(4990), end=hours(4999), anchor=Anchor("time", T0), before=timedelta(hours=1)))
    assert not (tmp_path / "cache").exists()


def test_a_threshold_of_monitoring_is_read_with_its_old_value(repo: Repo) -> None:
    conf = 'object Service {{\n  vars.conn_warn = {}\n  vars.password = "{}"\n}}\n'
    repo.commit(
        hours(-30), "as it was", {"icinga2/conf.d/app.conf": conf.format(300, "hunter"), "app.rb": "limit 300\n"}
    )
    moved = repo.commit(
        hours(1), "calm down", {"icinga2/conf.d/app.conf": conf.format(400, "sekret"), "app.rb": "limit 400\n"}
    )
    (found,) = (change for change in commits(ask(repo)) if change.ref == moved)
    assert [(edit.path, edit.line, edit.old, edit.new) for edit in found.edits] == [
        ("icinga2/conf.d/app.conf", 2, "vars.conn_warn = 300", "vars.conn_warn = 400")
    ]
    assert not any(change.edits for change in commits(ask(repo, role="application")))


def test_lines_are_looked_at_in_hostile_paths_without_running_anything(repo: Repo) -> None:
    names = ["conf.d/:(exclude)x.conf", "conf.d/-p.conf", "conf.d/*.conf", "conf.d/ü b.conf"]
    repo.commit(hours(-30), "as it was", dict.fromkeys(names, "max = 1\n"))
    repo.commit(hours(1), "moved", dict.fromkeys(names, "max = 2\n"))
    (found,) = (change for change in commits(ask(repo)) if change.in_window)
    assert sorted(edit.path for edit in found.edits) == sorted(names)
