"""Repositories that try to run programs, to be read as options, or to fetch: nothing of it happens."""

import os
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.repository import T0, Repo, environment, hours

from opsbrief.errors import SourceError
from opsbrief.model.evidence import Change, Gap, Item
from opsbrief.model.window import Anchor, Deploy, Window
from opsbrief.sources.git import Git
from opsbrief.transport.deadline import Deadline

pytestmark = pytest.mark.system

HOOKS = (
    "post-index-change",
    "reference-transaction",
    "post-checkout",
    "pre-auto-gc",
    "fsmonitor-watchman",
    "pre-commit",
)


@pytest.fixture(autouse=True)
def _own_cache(git: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def window(head: str = "2", base: str = "1") -> Window:
    return Window(
        start=T0, end=hours(2), anchor=Anchor("deploy", T0, ref=head), before=timedelta(hours=3),
        previous=Deploy(hours(-9), base, "", "log"),
    )  # fmt: skip


def everything(path: Path, asked: Window | None = None, **options: object) -> list[object]:
    """Ask a repository all that can be asked of it."""
    found: list[object] = []
    for role in ("infrastructure", "application"):
        source = Git(name="repo", path=str(path), role=role, **options)  # type: ignore[arg-type]  # options vary
        items: list[Item | Gap] = []
        try:
            items += source.collect(asked or window(), Deadline(60))
            found += [*items, *source.deploys(hours(-99), hours(99), Deadline(60))]
            found += [source.instant("tag", "2", Deadline(60)), source.instant("commit", "main", Deadline(60))]
        except SourceError as error:
            found += [*items, error]
    return found


def armed(path: Path, marker: Path) -> Repo:
    """Make a repository in which everything that git lets a configuration run leaves a mark."""
    repo = Repo.new(path)
    program = path / ".git" / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {shlex.quote(str(marker))}\nexit 1\n')
    program.chmod(0o755)
    signer = path / ".git" / "signer"
    signer.write_text(
        '#!/bin/sh\ncat > /dev/null\necho "[GNUPG:] SIG_CREATED " >&2\n'
        'echo "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----"\n'
    )
    signer.chmod(0o755)
    repo.commit(hours(-9), "base", {"a.txt": "1\n", ".gitattributes": "* diff=evil filter=evil\n"})
    repo.git("tag", "v1")
    repo.commit(hours(-2), "second", {"a.txt": "2\n"})
    repo.git("-c", f"gpg.program={signer}", "commit", "-q", "-S", "--allow-empty", "-m", "signed", at=hours(-1))
    repo.git("-c", f"gpg.program={signer}", "tag", "-s", "v2", "-m", "signed tag", at=hours(-1))
    repo.commit(hours(1), "third", {"a.txt": "3\n"})
    hooks = path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_bytes(program.read_bytes())
        (hooks / name).chmod(0o755)
    (path / ".git" / "info").mkdir(exist_ok=True)
    (path / ".git" / "info" / "attributes").write_text("* diff=evil filter=evil\n")
    settings = {
        "core.fsmonitor": program, "core.hooksPath": hooks, "core.pager": program, "core.editor": program,
        "core.sshCommand": program, "core.askPass": program, "core.alternateRefsCommand": program,
        "core.gitProxy": program, "diff.external": program, "diff.evil.textconv": program, "diff.evil.command": program,
        "diff.evil.binary": "false", "filter.evil.clean": program, "filter.evil.smudge": program,
        "filter.evil.process": program, "filter.evil.required": "true", "gpg.program": program,
        "gpg.openpgp.program": program, "gpg.ssh.program": program, "log.showSignature": "true", "pager.log": program,
        "pager.diff": program, "credential.helper": f"!{program}", "uploadpack.packObjectsHook": program,
        "alias.log": f"!{program}", "alias.rev-parse": f"!{program}", "alias.for-each-ref": f"!{program}",
        "interactive.diffFilter": program, "sequence.editor": program, "merge.evil.driver": program,
        "trailer.x.command": program, "trailer.x.cmd": program, "log.follow": "true", "diff.orderFile": "/etc/shadow",
        "log.showRoot": "false", "diff.noprefix": "true", "diff.submodule": "log", "diff.renames": "copies",
        "color.ui": "always", "log.date": "relative", "log.decorate": "full", "diff.relative": "true",
        "core.quotePath": "true", "log.abbrevCommit": "true", "format.pretty": "oneline", "log.diffMerges": "combined",
    }  # fmt: skip
    for key, value in settings.items():
        repo.git("config", key, str(value))
    return repo


def test_the_trap_works_on_a_git_that_is_not_careful(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    repo = armed(tmp_path / "repo", marker)
    caught = []
    for command in ("status", "log -p -1 v2", "diff HEAD~1 HEAD", "show v2", "log -1 --format=%G? v2"):
        subprocess.run(["git", *command.split()], cwd=repo.path, env=environment(), capture_output=True, check=False)
        caught.append(marker.exists())
        marker.unlink(missing_ok=True)
    assert all(caught)


def test_nothing_a_configuration_names_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    repo = armed(tmp_path / "repo", marker)
    before = repo.snapshot()
    found = everything(repo.path)
    assert not marker.exists(), marker.read_text()
    assert repo.snapshot() == before
    assert not [item for item in found if isinstance(item, SourceError)]


def test_a_configuration_does_not_change_what_is_read(tmp_path: Path) -> None:
    plain = Repo.new(tmp_path / "plain")
    armed_one = armed(tmp_path / "armed", tmp_path / "marker")
    plain.git("fetch", "-q", str(armed_one.path / ".git"), "+refs/*:refs/*", "--update-head-ok")
    url = [str(tmp_path / "armed"), str(tmp_path / "plain")]
    one, other = (
        repr(everything(repo.path)).replace(place, "") for repo, place in zip((armed_one, plain), url, strict=True)
    )
    clock = r"fetched_at=datetime.datetime\([^)]*\)"
    import re  # noqa: PLC0415 - only here

    assert re.sub(clock, "", one) == re.sub(clock, "", other)


def test_a_partial_clone_is_not_completed_behind_our_back(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    origin = armed(tmp_path / "origin", tmp_path / "unused")
    origin.git("config", "uploadpack.allowFilter", "true")
    clone = Repo(tmp_path / "clone")
    quiet = ["-c", "core.hooksPath=/dev/null"]
    argv = [
        "git",
        *quiet,
        "clone",
        "-q",
        "--no-checkout",
        "--filter=blob:none",
        f"file://{origin.path}",
        str(clone.path),
    ]
    subprocess.run(argv, check=True, env=environment(), capture_output=True)
    program = clone.path / ".git" / "program"
    program.write_text(f"#!/bin/sh\necho run >> {shlex.quote(str(marker))}\nexit 1\n")
    program.chmod(0o755)
    clone.git("config", "remote.origin.uploadpack", str(program))
    subprocess.run(["git", "log", "-p", "-1"], cwd=clone.path, env=environment(), capture_output=True, check=False)
    assert marker.exists(), "a careless git fetches here; if not, this test proves nothing"
    marker.unlink()
    found = everything(clone.path)
    assert not marker.exists()
    assert any(isinstance(item, SourceError) and "git fsck" in item.hint for item in found)


OPTIONS = [
    f"{option}={{out}}" if option.startswith("--") else f"{option}{{out}}"
    for option in (
        "--output", "--output-directory", "--exec", "--upload-pack", "--git-dir", "--work-tree", "--exec-path", "-o",
        "-O", "--open-files-in-pager", "--ext-diff", "--textconv", "--all", "--stdin", "--no-index", "--config-env",
        "--namespace", "--super-prefix", "--paginate", "-c", "-C", "-p", "--not", "--glob", "--branches", "--tags",
        "--remotes", "--exclude", "--reflog", "--walk-reflogs", "--alternate-refs", "--format", "--end-of-options",
    )
] + [
    "-", "--", "--output", "@{{-1}}", "main --output={out}", "main\n--output={out}", "v2^{{/x}}", ":/third",
    "main:a.txt", "main..v1", "^main", "../../etc/passwd", "refs/heads/../../../{out}", "main@{{upstream}}",
    "$(touch {out})",
    "`touch {out}`", "|touch {out}", ";touch {out}", "ext::sh -c touch% {out}", "file://{out}",
]  # fmt: skip


def test_refs_that_look_like_options_write_no_file(tmp_path: Path) -> None:
    repo = Repo.new(tmp_path / "repo")
    repo.commit(hours(-9), "one")
    repo.git("tag", "v1")
    assert len(OPTIONS) >= 50
    before, out = repo.snapshot(), tmp_path / "out"
    for option in OPTIONS:
        ref = option.format(out=out)
        everything(repo.path, window(ref, ref), branches=("main", ref), tag_format="{ref}")
        source = Git(name="repo", path=str(repo.path), role="application")
        assert source.instant("commit", ref, Deadline(9)) is None
    assert repo.snapshot() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repo"]


def test_a_branch_named_like_an_option_is_read_as_a_branch_or_not_at_all(tmp_path: Path) -> None:
    repo = Repo.new(tmp_path / "repo")
    head = repo.commit(T0, "one")
    repo.git("update-ref", "refs/heads/--output=out", head)
    repo.git("update-ref", "refs/tags/--output=tag", head)
    before = repo.snapshot()
    found = everything(repo.path, window("--output=tag", "--output=tag"), branches=("--output=out",))
    assert repo.snapshot() == before
    assert not list(Path.cwd().glob("out*"))
    assert {item.branch for item in found if isinstance(item, Change) and item.kind == "commit"} == {"--output=out"}


def test_the_environment_of_the_caller_does_not_redirect_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, other = Repo.new(tmp_path / "wanted"), Repo.new(tmp_path / "other")
    wanted.commit(T0, "wanted")
    other.commit(T0, "other")
    marker = tmp_path / "marker"
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {marker}")
    monkeypatch.setenv("GIT_TRACE", str(marker))
    found = everything(wanted.path)
    assert "wanted" in repr(found)
    assert "summary='other'" not in repr(found)
    assert not marker.exists()
    assert os.environ["GIT_DIR"]
