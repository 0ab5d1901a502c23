"""Rollouts of Kubernetes workloads, from the revisions that the API server keeps; no kubectl is needed.

A bearer token or a client certificate, and the right to list deployments and replicasets (apps/v1) in the namespace;
inside the cluster the token and CA of the service account: ``auth: {bearer: {file: ...}}, tls: {ca_file: ...}``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from opsbrief.errors import GapKind, SourceError
from opsbrief.model.evidence import Gap, Item, Origin, Role
from opsbrief.model.window import Deploy, Window
from opsbrief.readers.deploys import entry, kubernetes
from opsbrief.readers.deploys.entry import Bad, Entry, Told
from opsbrief.readers.deploys.kubernetes import Lost, Revision, Workload
from opsbrief.source import Web
from opsbrief.text import line
from opsbrief.transport.deadline import Deadline

if TYPE_CHECKING:
    from opsbrief.transport.http import Client

_PAGE = 500
_PAGES = 40
#: Kind of workload -> its own list, the list of its revisions.
_LISTS = {
    "Deployment": ("deployments", "replicasets"),
    "StatefulSet": ("statefulsets", "controllerrevisions"),
    "DaemonSet": ("daemonsets", "controllerrevisions"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes(Web):
    """Rollouts of Deployments (StatefulSets, DaemonSets) in one namespace of a Kubernetes cluster."""

    gives: ClassVar[frozenset[str]] = frozenset({"changes", "events", "deploys"})

    namespace: str = field(metadata={"help": "whose workloads are read"})
    workloads: tuple[str, ...] = field(default=("*",), metadata={"help": "their names, with * and ?: [shop, shop-*]"})
    kinds: tuple[Literal["Deployment", "StatefulSet", "DaemonSet"], ...] = field(
        default=("Deployment",), metadata={"help": "which kinds of workload; each needs the right to list it"}
    )
    selector: str = field(default="", metadata={"help": "label selector of the workloads: app=shop,tier!=batch"})
    container: str = field(
        default="", metadata={"help": "container whose image's tag is the version; default: the workload's namesake"}
    )
    time: Literal["start", "end"] = field(
        default="start", metadata={"help": "which instant of a rollout counts where both are known"}
    )

    @property
    def role(self) -> Role:
        """Rollouts are changes of the application."""
        return "application"

    def deploys(self, since: datetime, until: datetime, deadline: Deadline) -> Iterator[Deploy | Gap]:
        """Yield the rollouts in [since, until], failed ones marked as such."""
        with self.client(deadline) as http:
            told = list(self._told(http, since, until))
        found = any(isinstance(one, Entry) and since <= one.at <= until for one in told)
        # That older ones are forgotten matters to who finds none.
        kept = (one for one in told if not (found and isinstance(one, Gap) and one.kind is GapKind.TRUNCATED))
        yield from entry.as_deploys(kept, since, until)

    def collect(self, window: Window, deadline: Deadline) -> Iterator[Item | Gap]:
        """Yield a Change per rollout in the window and the time before it, an Event per restart."""
        whole = window.whole
        with self.client(deadline) as http:
            yield from entry.as_changes(self._told(http, whole.start, whole.end), whole.start, whole.end)

    def _told(self, http: "Client", since: datetime, until: datetime) -> Iterator[Told]:
        bad = Bad(self.name, "object")
        revisions: dict[str, tuple[dict[str, list[Revision]], Origin]] = {}
        found = False
        for kind in self.kinds:
            plural, history = _LISTS[kind]
            wanted = [one for one in self._workloads(http, kind, plural, bad) if self._wants(one)]
            found = found or bool(wanted)
            if wanted and history not in revisions:
                revisions[history] = self._revisions(http, history, bad)
            for one in wanted:
                kept, origin = revisions[history]
                yield from self._one(one, kept.get(one.uid, []), origin, since, until)
        yield from bad.gaps()
        if not found:
            yield Gap(
                source=self.name,
                what="everything",
                kind=GapKind.UNAVAILABLE,
                detail=f"no {' or '.join(self.kinds)} called {', '.join(self.workloads)} in namespace {self.namespace}",
                hint="check namespace (one that does not exist looks empty), workloads and selector",
            )

    def _wants(self, one: Workload) -> bool:
        return any(fnmatchcase(one.name, name) for name in self.workloads)

    def _one(
        self, one: Workload, kept: list[Revision], origin: Origin, since: datetime, until: datetime
    ) -> Iterator[Told]:
        for told in kubernetes.told(one, kept, origin, container=self.container, late=self.time == "end"):
            if not isinstance(told, Lost):
                yield told
            elif told.after <= until and (told.before is None or told.before >= since):
                ended = f" and before {told.before:%Y-%m-%d %H:%M:%S}" if told.before else ""
                yield Gap(
                    source=self.name,
                    what=told.what,
                    kind=GapKind.UNAVAILABLE,
                    detail=f"the cluster does not remember it; it was after {told.after:%Y-%m-%d %H:%M:%S}{ended} UTC",
                )
        oldest = min(kept, key=lambda revision: revision.created, default=None)
        numbers = {number for revision in kept for number in (revision.number, *revision.earlier)}
        if oldest and min(numbers) > 1 and oldest.created > since:
            yield Gap(
                source=self.name,
                what=f"older revisions of {one.kind} {one.name}",
                kind=GapKind.TRUNCATED,
                detail=f"the cluster keeps none from before {oldest.created:%Y-%m-%d %H:%M:%S} UTC",
                hint="raise revisionHistoryLimit of the workload",
            )

    def _workloads(self, http: "Client", kind: str, plural: str, bad: Bad) -> Iterator[Workload]:
        for parts, _origin in self._list(http, plural, self.selector):
            for part in parts:
                try:
                    yield kubernetes.workload(kind, part)
                except entry.ShapeError as error:
                    bad.add(part, error)

    def _revisions(self, http: "Client", plural: str, bad: Bad) -> tuple[dict[str, list[Revision]], Origin]:
        """Return the revisions of every workload by its uid, and the first answer they came in."""
        found: dict[str, list[Revision]] = {}
        first: Origin | None = None
        for parts, origin in self._list(http, plural, ""):
            first = first or origin
            for part in parts:
                try:
                    one = kubernetes.revision(part)
                except entry.ShapeError as error:
                    bad.add(part, error)
                    continue
                if one:
                    found.setdefault(one.owner, []).append(one)
        if first is None:
            raise SourceError(GapKind.BUG, "no list was asked for")  # not reachable: a list has at least one page
        return found, first

    def _list(self, http: "Client", plural: str, selector: str) -> Iterator[tuple[list[Any], Origin]]:
        """Yield the items of a list, page by page."""
        path = f"/apis/apps/v1/namespaces/{quote(self.namespace, safe='')}/{plural}"
        fixed = [("limit", str(_PAGE)), *([("labelSelector", selector)] if selector else [])]
        token = ""
        for _ in range(_PAGES):
            answer = http.get(path, [*fixed, *([("continue", token)] if token else [])])
            document = answer.json()
            items = document.get("items") if isinstance(document, Mapping) else None
            if not isinstance(items, list):
                raise SourceError(
                    GapKind.BAD_ANSWER,
                    f"answered no list of {plural}: {line(repr(document), 120)}",
                    "the url is that of the API server: https://HOST:6443",
                )
            query = f"GET {path} " + " ".join(map("=".join, fixed))
            yield items, entry.origin(self.name, query, answer)
            token = entry.word(document, "metadata", "continue", cap=4000)
            if not token:
                return
        raise SourceError(
            GapKind.TRUNCATED, f"more than {_PAGE * _PAGES:,} {plural} in namespace {self.namespace}", "set a selector"
        )
