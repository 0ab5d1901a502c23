"""The Kubernetes source against a peer that holds objects of apps/v1.

The objects are invented after the Kubernetes API (apps/v1, meta/v1) and pkg/controller/deployment, but for those that
were recorded from a real cluster.
"""

import json
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.contract.peer import answer, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Change, Event, Gap
from opsbrief.model.scope import Scope
from opsbrief.model.window import Anchor, Deploy, TimeKind, Window
from opsbrief.readers.deploys.kubernetes import tag
from opsbrief.secret import Secret
from opsbrief.source import DeployLog, Login
from opsbrief.sources.kubernetes import Kubernetes
from opsbrief.transport.deadline import Deadline

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=30)
WINDOW = Window(start=SINCE, end=NOON, anchor=Anchor("time", SINCE), before=timedelta(hours=1))
Object = dict[str, Any]


def at(minutes: float) -> str:
    return f"{NOON - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def before(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


def template(image: str, **notes: str) -> Object:
    return {
        "metadata": {"labels": {"app": "shop", "pod-template-hash": image[-3:]}, "annotations": notes},
        "spec": {
            "containers": [
                {"name": "proxy", "image": "envoy:1.30"},
                {"name": "shop", "image": f"registry:5000/{image}"},
            ]
        },
    }


def replicaset(revision: int, minutes: float, image: str, history: str = "", cause: str = "", **more: Any) -> Object:
    notes = {"deployment.kubernetes.io/revision": str(revision)}
    notes |= {"deployment.kubernetes.io/revision-history": history} if history else {}
    notes |= {"kubernetes.io/change-cause": cause} if cause else {}
    return {
        "metadata": {
            "name": f"shop-{image.rpartition(':')[2]}", "creationTimestamp": at(minutes), "annotations": notes,
            "ownerReferences": [{"kind": "Deployment", "name": "shop", "uid": "u1", "controller": True}],
        },
        "spec": {"template": template(image, **more)},
    }  # fmt: skip


def deployment(
    *, name: str = "shop", edited: float | None = None, reason: str = "", of: str = "", when: float = 0
) -> Object:
    fields = [
        {"manager": "kube-controller-manager", "subresource": "status", "time": at(0), "fieldsV1": {"f:status": {}}},
        {"manager": "hpa", "subresource": "scale", "time": at(0), "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]
    if edited is not None:
        fields.append(
            {"manager": "kubectl", "time": at(edited), "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}}
        )
    words = {
        "NewReplicaSetAvailable": "has successfully progressed", "ProgressDeadlineExceeded": "has timed out progressing"
    }  # fmt: skip
    progress = {
        "type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": at(when),
        "lastTransitionTime": at(9999), "message": f'ReplicaSet "{of}" {words.get(reason, "is progressing")}.',
    }  # fmt: skip
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "lastUpdateTime": at(0)}
    return {
        "metadata": {"name": name, "uid": "u1" if name == "shop" else name, "managedFields": fields},
        "spec": {},
        "status": {"conditions": [available, *([progress] if reason else [])]},
    }


class Server:
    """Lists of objects, two a page."""

    def __init__(self, page: int = 2, **lists: Sequence[Object]) -> None:
        self.lists = lists
        self.page = page
        self.asked: list[str] = []

    def __call__(self, sock: socket.socket, request: bytes) -> None:
        target = request.split()[1].decode()
        self.asked.append(target)
        path, _, query = target.partition("?")
        form = {key: values[0] for key, values in parse_qs(query).items()}
        prefix = "/apis/apps/v1/namespaces/web/"
        assert path.startswith(prefix)
        items = list(self.lists.get(path.removeprefix(prefix), ()))
        first = int(form.get("continue", "0"))
        more = first + self.page < len(items)
        meta = {"resourceVersion": "1", **({"continue": str(first + self.page)} if more else {})}
        document = {
            "kind": "List",
            "apiVersion": "apps/v1",
            "metadata": meta,
            "items": items[first : first + self.page],
        }
        answer(json.dumps(document).encode())(sock, request)


def source(url: str, **options: Any) -> Kubernetes:
    return Kubernetes(**{"name": "k8s", "url": url, "namespace": "web", **options})


def ask(store: Server, since: datetime = SINCE, **options: Any) -> tuple[list[Deploy], list[Gap]]:
    with peer(store) as server:
        found = list(source(server.url, **options).deploys(since, NOON, Deadline(20)))
    return [one for one in found if isinstance(one, Deploy)], [one for one in found if isinstance(one, Gap)]


def window(store: Server, **options: Any) -> tuple[list[Change], list[Event], list[Gap]]:
    with peer(store) as server:
        evidence, _ = collect([("kubernetes", source(server.url, **options))], WINDOW, Scope())
    return list(evidence.items(Change)), list(evidence.items(Event)), list(evidence.gaps)


ROLLED_OUT = {"reason": "NewReplicaSetAvailable", "of": "shop-2.14.0", "when": 50}


def test_a_replicaset_is_made_when_its_rollout_starts() -> None:
    sets = [replicaset(1, 900, "shop:2.13.2"), replicaset(2, 58, "shop:2.14.0", cause="helm upgrade shop")]
    store = Server(deployments=[deployment(**ROLLED_OUT)], replicasets=sets)
    note = "shop: registry:5000/shop:2.14.0, revision 2, helm upgrade shop"
    deploys, gaps = ask(store)
    assert gaps == []
    assert deploys[1] == Deploy(before(58), "2.14.0", note, "k8s", TimeKind.DEPLOY_START)
    assert [one.ref for one in deploys] == ["2.13.2", "2.14.0"]
    late, _ = ask(store, time="end")  # of the newest one the end is known, of the others not
    assert [(one.at, str(one.time_kind)) for one in late] == [
        (before(900), "deploy start"),
        (before(50), "deploy end"),
    ]
    assert isinstance(source("http://x"), DeployLog)


@pytest.mark.parametrize(
    ("state", "at_", "kind"),
    [
        ({"edited": 32, "reason": "NewReplicaSetAvailable", "of": "shop-2.13.2", "when": 30}, 32, "event time"),
        ({"edited": 20, "reason": "NewReplicaSetAvailable", "of": "shop-2.13.2", "when": 30}, 30, "deploy end"),
        ({"reason": "NewReplicaSetAvailable", "of": "shop-2.13.2", "when": 30}, 30, "deploy end"),
        ({"reason": "ReplicaSetUpdated", "of": "shop-2.13.2", "when": 30}, 30, "event time"),
        ({"edited": 32, "reason": "NewReplicaSetAvailable", "of": "shop-2.14.0", "when": 50}, 32, "event time"),
        ({"edited": 500, "reason": "NewReplicaSetAvailable", "of": "shop-2.13.2", "when": 30}, 30, "deploy end"),
    ],
)
def test_a_rollback_has_the_time_of_the_deployment_and_not_of_the_old_replicaset(
    state: dict[str, Any], at_: float, kind: str
) -> None:
    sets = [replicaset(3, 900, "shop:2.13.2", history="1"), replicaset(2, 58, "shop:2.14.0")]
    deploys, gaps = ask(Server(deployments=[deployment(**state)], replicasets=sets))
    assert gaps == []
    assert [(one.ref, one.rollback) for one in deploys] == [("2.13.2", False), ("2.14.0", False), ("2.13.2", True)]
    assert (deploys[-1].at, str(deploys[-1].time_kind)) == (before(at_), kind)
    assert deploys[0].at == before(900)


def test_a_rollback_whose_time_nobody_remembers_is_a_gap_between_two_times() -> None:
    sets = [
        replicaset(3, 900, "shop:2.13.2", history="1"),
        replicaset(2, 300, "shop:2.14.0"),
        replicaset(4, 58, "shop:2.15.0"),
    ]
    store = Server(
        deployments=[deployment(reason="NewReplicaSetAvailable", of="shop-2.15.0", when=50)], replicasets=sets
    )
    deploys, (gap,) = ask(store)
    assert [one.ref for one in deploys] == ["2.13.2", "2.14.0", "2.15.0"]
    assert (gap.kind, gap.what) == (
        GapKind.UNAVAILABLE, "the time of the rollback of Deployment shop to revision 3"
    )  # fmt: skip
    assert "after 2026-11-20 07:00:00 and before 2026-11-20 11:02:00 UTC" in gap.detail
    assert ask(store, before(50))[1] == [], "it was before that"


def test_a_number_that_an_old_controller_wrote_twice_is_no_rollback() -> None:
    store = Server(deployments=[deployment()], replicasets=[replicaset(2, 58, "shop:2.14.0", history="2,2")])
    assert [(one.ref, one.rollback) for one in ask(store)[0]] == [("2.14.0", False)]


def test_a_restart_is_no_deploy() -> None:
    sets = [
        replicaset(1, 900, "shop:2.14.0"),
        replicaset(2, 58, "shop:2.14.0", **{"kubectl.kubernetes.io/restartedAt": at(58)}),
    ]
    sets[1]["metadata"]["name"] = "shop-2"
    sets[1]["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "other"
    changes, (event,), gaps = window(Server(deployments=[deployment()], replicasets=sets))
    assert ([one.ref for one in changes], gaps) == (["2.14.0"], [])
    assert (event.at, event.kind, event.service, event.state) == (before(58), "restart", "shop", "RESTART")


def test_a_rollout_of_the_same_image_with_another_configuration_is_one() -> None:
    sets = [replicaset(1, 900, "shop:2.14.0"), replicaset(2, 58, "shop:2.14.0", **{"checksum/config": "b"})]
    sets[1]["metadata"]["name"] = "shop-2"
    changes, events, _ = window(Server(deployments=[deployment()], replicasets=sets))
    assert ([one.ref for one in changes], events) == (["2.14.0", "2.14.0"], [])


def test_a_rollout_that_fails_or_still_runs_is_said() -> None:
    sets = [replicaset(1, 900, "shop:2.13.2"), replicaset(2, 58, "shop:2.14.0")]
    failed = deployment(reason="ProgressDeadlineExceeded", of="shop-2.14.0", when=48)
    deploys, _ = ask(Server(deployments=[failed], replicasets=sets))
    assert [one.succeeded for one in deploys] == [True, False]
    running = deployment(reason="ReplicaSetUpdated", of="shop-2.14.0", when=48)
    changes, _, _ = window(Server(deployments=[running], replicasets=sets))
    assert changes[1].summary == "shop: registry:5000/shop:2.14.0, revision 2, in progress"


def test_revisions_that_the_cluster_no_longer_keeps_are_named_where_they_matter() -> None:
    store = Server(deployments=[deployment()], replicasets=[replicaset(7, 58, "shop:2.14.0")])
    assert ask(store)[1] == []
    assert [(gap.kind, gap.what) for gap in window(store)[2]] == [
        (GapKind.TRUNCATED, "older revisions of Deployment shop")
    ]


def test_statefulsets_and_daemonsets_keep_theirs_as_controllerrevisions() -> None:
    def kept(number: int, minutes: float, image: str) -> Object:
        return {
            "metadata": {
                "name": f"shop-{number}", "creationTimestamp": at(minutes),
                "ownerReferences": [{"kind": "StatefulSet", "uid": "u1", "controller": True}],
            },
            "data": {"spec": {"template": {**template(image), "$patch": "replace"}}},
            "revision": number,
        }  # fmt: skip

    # The first of them was rolled back to: it has the newest number and the oldest time.
    rows = [kept(2, 58, "shop:2.14.0"), kept(3, 900, "shop:2.13.2")]
    store = Server(statefulsets=[deployment(edited=30)], controllerrevisions=rows, daemonsets=[])
    deploys, gaps = ask(store, kinds=("StatefulSet", "DaemonSet"))
    assert gaps == []
    assert [(one.ref, one.rollback, one.at) for one in deploys] == [
        ("2.14.0", False, before(58)),
        ("2.13.2", True, before(30)),
    ]
    assert not any("replicasets" in one for one in store.asked)


def test_only_the_workloads_that_are_named_count_and_lists_are_read_to_their_end() -> None:
    others = [deployment(name=f"shop-{n}") for n in range(5)]
    store = Server(
        deployments=[*others, deployment()],
        replicasets=[*({"metadata": {"name": "orphan"}} for _ in range(5)), replicaset(1, 58, "shop:2.14.0")],
    )
    deploys, gaps = ask(store, workloads=("shop",), selector="app=shop,tier!=batch")
    assert ([one.ref for one in deploys], gaps) == (["2.14.0"], [])
    assert len(store.asked) == 6
    assert "labelSelector=app%3Dshop%2Ctier%21%3Dbatch" in store.asked[0]
    deploys, (gap,) = ask(store, workloads=("blog*",))
    assert (deploys, gap.detail) == ([], "no Deployment called blog* in namespace web")


def test_a_real_cluster_was_read_as_it_had_been_told_to_do() -> None:
    """Recorded from kube-apiserver and kube-controller-manager 1.36.3 on etcd 3.4.23.

    Told to create 2.13.2 at 07:31:37, to update to 2.14.0 at :41, restart at :44, undo to 2.13.2 at :48, update to
    2.15.0 at :52, undo to 2.14.0 at :55, then to scale; a StatefulSet at 15.1 to go to 15.2 at 07:32:05, back at :08.
    """
    lists = json.loads((Path(__file__).parents[1] / "recorded/kubernetes-1.36.json").read_text())
    since, until = datetime(2026, 11, 27, 7, tzinfo=UTC), datetime(2026, 11, 27, 8, tzinfo=UTC)
    with peer(Server(**lists)) as server:
        read = source(server.url, kinds=("Deployment", "StatefulSet"))
        found = list(read.deploys(since, until, Deadline(20)))
        whole = Window(start=since, end=until, anchor=Anchor("time", since), before=timedelta(hours=1))
        events = [one for one in read.collect(whole, Deadline(20)) if isinstance(one, Event)]
    told = [(f"{one.at:%M:%S}", one.ref, one.rollback, str(one.time_kind)) for one in found if isinstance(one, Deploy)]
    assert told == [
        ("31:38", "2.13.2", False, "deploy start"),
        ("31:41", "2.14.0", False, "deploy start"),
        ("31:52", "2.15.0", False, "deploy start"),
        ("31:55", "2.14.0", True, "event time"),
        ("32:05", "15.2", False, "deploy start"),
        ("32:08", "15.1", True, "event time"),
    ]
    (gap,) = [one for one in found if isinstance(one, Gap)]
    assert "after 2026-11-27 07:31:44 and before 2026-11-27 07:31:52" in gap.detail
    assert [(f"{one.at:%M:%S}", one.service) for one in events] == [("31:44", "shop")]


def test_a_change_cause_is_told_of_the_revision_it_was_written_for() -> None:
    sets = [replicaset(n, 60 - n, f"shop:1.{n}", cause=cause) for n, cause in ((1, ""), (2, "hotfix"), (3, "hotfix"))]
    deploys, _ = ask(Server(deployments=[deployment()], replicasets=sets))
    assert ["hotfix" in one.note for one in deploys] == [False, True, False]


def test_the_container_that_names_the_release_can_be_chosen() -> None:
    store = Server(deployments=[deployment()], replicasets=[replicaset(1, 58, "shop:2.14.0")])
    assert [ask(store, container=name)[0][0].ref for name in ("proxy", "nobody")] == ["1.30", ""]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("shop:2.14.0", "2.14.0"),
        ("registry:5000/web/shop", ""),
        ("registry:5000/web/shop:latest", ""),
        ("shop:main@sha256:0123456789abcdef", "0123456789ab"),
        ("registry:5000/shop:v1@sha256:0123456789abcdef", "v1"),
        ("shop@sha256:0123456789abcdef", "0123456789ab"),
    ],
)
def test_the_tag_of_an_image(image: str, found: str) -> None:
    assert tag(image) == found


def test_what_is_no_object_costs_no_good_one() -> None:
    odd: list[Any] = [
        7, {}, {"metadata": {"name": "x", "uid": "u", "managedFields": 7}, "status": {"conditions": 7}},
    ]  # fmt: skip
    sets = [replicaset(1, 58, "shop:2.14.0"), *(replicaset(1, 50, "shop:3") for _ in range(3)), 7]
    sets[1]["metadata"]["annotations"] = {}
    sets[2]["metadata"]["creationTimestamp"] = None
    sets[3]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = "9" * 5000
    sets[3]["spec"] = 7
    changes, _, (gap,) = window(Server(deployments=[deployment(), *odd], replicasets=sets))  # type: ignore[list-item] # reason: the fault
    assert sorted(one.ref for one in changes) == ["", "2.14.0"]
    assert (gap.kind, gap.what) == (GapKind.BAD_ANSWER, "5 objects")


def test_a_token_goes_along_and_a_missing_right_is_said() -> None:
    said = {"kind": "Status", "message": 'deployments.apps is forbidden: User "ops" cannot list resource'}
    with peer(answer(json.dumps(said).encode(), "403 Forbidden")) as server:
        login = Login(bearer=Secret("CANARY-1"))
        evidence, _ = collect([("kubernetes", source(server.url, auth=login))], WINDOW, Scope())
        assert b"Authorization: Bearer CANARY-1" in server.requests[0]
    assert evidence.gaps[0].kind is GapKind.UNAUTHORIZED
    assert "cannot list resource" in evidence.gaps[0].detail
