"""Every deploy log behind HTTP at once: one release, one receipt, each with its own kind of time."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.contract.peer import peer
from tests.unit import test_argocd as argocd
from tests.unit import test_github as github
from tests.unit import test_gitlab as gitlab
from tests.unit import test_grafana as grafana
from tests.unit import test_kubernetes as kubernetes

Run = Callable[..., Any]
NOON = github.NOON
UNTIL = ("--until", NOON.isoformat())


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Path]:
    """Start five servers that tell of one release, and write the configuration that names them."""
    forge = github.Forge()
    forge.add("v2.13.2", "a", 900, github.status("success", 895))
    forge.add("v2.14.0", "b", 62, github.status("in_progress", 61), github.status("success", 55))
    forge.add("v2.14.1", "c", 20, github.status("failure", 18))
    project = gitlab.Project()
    project.add("v2.14.0", "b", 70, 61, 56, tag=True)
    rolled = kubernetes.deployment(reason="NewReplicaSetAvailable", of="shop-2.14.0", when=57)
    sets = [kubernetes.replicaset(1, 895, "shop:2.13.2"), kubernetes.replicaset(2, 60, "shop:2.14.0")]
    syncs = (argocd.sync(0, "a" * 40, 897, 896), argocd.sync(1, "b" * 40, 61, 60))
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(peer(store)).url
            for name, store in {
                "github": forge,
                "gitlab": project,
                "kubernetes": kubernetes.Server(deployments=[rolled], replicasets=sets),
                "argocd": argocd.Server(shop=argocd.application(*syncs)),
                "grafana": grafana.Store(grafana.row(1, NOON - timedelta(minutes=59), "shop 2.14.0 deployed")),
            }.items()
        }
        more = {
            "github": {"repository": "ops/shop", "environments": ["production"]},
            "gitlab": {"project": "ops/shop", "environments": ["production"]},
            "kubernetes": {"namespace": "web"},
            "argocd": {"applications": ["shop"]},
        }
        document = {
            "version": 1,
            "sources": {name: {"type": name, "url": url, **more.get(name, {})} for name, url in urls.items()},
            "deploys": ["kubernetes", "argocd", "github", "gitlab", "grafana"],
            "marks": ["grafana"],
            "services": {"shop": {"hosts": ["app1"]}},
        }
        (tmp_path / "opsbrief.yaml").write_text(json.dumps(document))
        yield tmp_path


def test_one_release_in_five_logs_is_one_receipt(opsbrief: Run, servers: Path) -> None:
    done = opsbrief("window", "--since", "deploy", *UNTIL, "--json", cwd=servers)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["anchor"]["ref"], document["anchor"]["source"]) == ("2.14.0", "kubernetes")
    # What is the default of a value is not written.
    told = [
        (one["deploy"]["source"], one["deploy"]["ref"], one["deploy"].get("time_kind", "event time"), one["offset"])
        for one in document["receipt"]["candidates"]
    ]
    assert told == [
        ("kubernetes", "2.14.0", "deploy start", 0.0),
        ("argocd", "", "deploy start", -60.0),
        ("github", "v2.14.0", "deploy start", -60.0),
        ("gitlab", "v2.14.0", "deploy start", -59.778),
        ("grafana", "2.14.0", "event time", 60.0),
    ]
    assert document["receipt"]["warnings"] == ["v2.14.1 at 2026-11-20 11:42:00+00:00 failed, says github; skipped"]
    assert document["previous"]["ref"] == "2.13.2"


def test_the_brief_shows_the_failed_one_and_the_mark(opsbrief: Run, servers: Path) -> None:
    at = (NOON - timedelta(minutes=5)).isoformat()
    marked = opsbrief("mark", "note", "customers report slow search", "--at", at, cwd=servers)
    assert (marked.returncode, marked.stdout.split()[0]) == (0, "annotation")
    done = opsbrief("collect", "--since", "deploy", *UNTIL, "-f", "txt", "-o", servers / "out", cwd=servers)
    assert done.returncode == 0, done.stderr
    (brief,) = (servers / "out").glob("*/brief.txt")
    page = " ".join(brief.read_text().split())
    assert "11:42 deploy v2.14.1 failed: production: v2.14.1" in page
    assert "customers report slow search" in page
    assert "5 of 5 sources answered" in page
