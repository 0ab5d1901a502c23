"""A real Capistrano (Debian's package) that deploys a repository of three commits on this machine."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system.graphite import MissingError

_CAPFILE = """
require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
"""
_DEPLOY = """
set :application, "shop"
set :repo_url, "{room}/shop.git"
set :deploy_to, "{room}/shop"
set :branch, ENV.fetch("BRANCH")
set :local_user, "ada"
set :format, :simpletext
set :sshkit_backend, SSHKit::Backend::Local
"""


@dataclass(frozen=True, slots=True)
class Capistrano:
    """A project of Capistrano's; what it deploys lies in ``room/shop``."""

    room: Path
    commits: dict[str, str]  # tag -> commit

    @property
    def log(self) -> Path:
        """The log that it keeps."""
        return self.room / "shop" / "revisions.log"

    def run(self, task: str, branch: str = "main", zone: str = "UTC") -> None:
        """Run a task of the production stage, on a machine whose clock is in ``zone``."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.room),
            "LANG": "C.UTF-8",
            "TZ": zone,
            "BRANCH": branch,
        }
        subprocess.run(
            ["cap", "production", task],
            check=True, capture_output=True, timeout=60, cwd=self.room / "project", env=environment,
        )  # fmt: skip


def install() -> str:
    """Return where it is. Raises MissingError."""
    found = shutil.which("cap")
    if not found:
        raise MissingError("there is no cap; on Debian: apt-get install capistrano")
    return found


def project(room: Path) -> Capistrano:
    """Make a repository with the tags v1.0.0 to v3.0.0 and a project that deploys it."""
    install()
    (room / "project/config/deploy").mkdir(parents=True)
    (room / "project/Capfile").write_text(_CAPFILE)
    (room / "project/config/deploy.rb").write_text(_DEPLOY.format(room=room))
    (room / "project/config/deploy/production.rb").write_text('server "localhost", roles: %w[app]\n')
    repository = room / "shop.git"

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
        done = subprocess.run(
            ["git", *who, *arguments], check=True, capture_output=True, text=True, cwd=room, timeout=60
        )
        return done.stdout.strip()

    git("init", "-q", str(repository))
    commits = {}
    for number in (1, 2, 3):
        (repository / "file").write_text(f"{number}\n")
        git("-C", str(repository), "add", "file")
        git("-C", str(repository), "commit", "-qm", f"number {number}")
        git("-C", str(repository), "tag", f"v{number}.0.0")
        commits[f"v{number}.0.0"] = git("-C", str(repository), "rev-parse", "HEAD")
    return Capistrano(room, commits)
