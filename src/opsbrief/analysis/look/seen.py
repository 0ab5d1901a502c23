"""The readings of one host as numbers. What cannot be read is not zero: it is not there."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opsbrief.model.evidence import Reading

_PRESSURE = 10.0  # percent of the last minute that something waited
_FULL = 90  # percent of a disk
_KILLED = re.compile(r"out of memory|oom-kill|killed process", re.IGNORECASE)
#: How a person calls what was asked, where it has another name.
_CALLED = {
    "disk": "disks", "kernel": "kernel messages", "journal": "journal", "processes": "the service's processes",
    "idle": "idle times", "owners": "owners of sockets", "largest": "all processes", "packages": "package log",
    "own": "the service's own sockets",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peer:
    """Connections to one peer ("out 10.0.0.7:6379") or to one port of ours ("in :8080")."""

    name: str
    established: int
    waiting: int  # CLOSE-WAIT


@dataclass(frozen=True, slots=True)
class Idle:
    """Established connections of one peer or port: all, idle for over five minutes, the longest in seconds."""

    name: str
    all: int
    over: int
    longest: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the service; what could not be read is None."""

    pid: int
    open: int | None
    limit: int | None
    threads: int
    age: int | None
    name: str


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen on a host."""

    at: datetime
    ids: tuple[str, ...]
    own: bool = False  # whether the numbers are the service's alone; else the whole host's
    established: int | None = None  # now; None: not counted
    waiting: int = 0  # CLOSE-WAIT, now
    waited: int | None = None  # the same some seconds before
    apart: float = 0.0
    peers: tuple[Peer, ...] = ()
    idles: tuple[Idle, ...] = ()
    processes: tuple[Process, ...] = ()
    load: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()
    untold: tuple[str, ...] = field(default=())

    @property
    def idle(self) -> int:
        """Connections on which nothing moved for over five minutes."""
        return sum(one.over for one in self.idles)

    @property
    def longest(self) -> int:
        """Seconds since something moved on the quietest connection."""
        return max((one.longest for one in self.idles), default=0)

    @property
    def main(self) -> Process | None:
        """The process with most descriptors, else the first one."""
        return max(self.processes, key=lambda one: (one.open or 0, -one.pid), default=None)

    @property
    def started(self) -> datetime | None:
        """When the main process began."""
        main = self.main
        return self.at - timedelta(seconds=main.age) if main and main.age is not None else None

    def full(self, part: float) -> list[Process]:
        """Return the processes that have this part of their descriptors open."""
        return [one for one in self.processes if one.open and one.limit and one.open >= part * one.limit]


def read(readings: Sequence[Reading]) -> Seen:
    """Return the numbers of one host's readings, those of the last count where it counted twice."""
    last = {one.about: one for one in readings if not one.state}
    first = {one.about: one for one in reversed(readings) if not one.state}
    look = Seen(at=max(one.at for one in readings), ids=tuple(one.id for one in readings if one.id))
    look.own = "own" in last
    if look.own:
        ours, earlier = (tuple(_peers(by["own"].stdout)) for by in (last, first))
        look.established, look.waiting = sum(p.established for p in ours), sum(p.waiting for p in ours)
        if last["own"] is not first["own"]:
            look.waited = sum(p.waiting for p in earlier)
            look.apart = (last["own"].at - first["own"].at).total_seconds()
    elif "sockets" in last:
        now, before = (dict(_states(by["sockets"].stdout)) for by in (last, first))
        look.established, look.waiting = now.get("ESTAB", 0), now.get("CLOSE-WAIT", 0)
        if last["sockets"] is not first["sockets"]:
            look.waited = before.get("CLOSE-WAIT", 0)
            look.apart = (last["sockets"].at - first["sockets"].at).total_seconds()
    look.peers = tuple(_peers(_text(last, "own" if look.own else "peers")))
    mine = {peer.name for peer in look.peers}
    look.idles = tuple(
        Idle(name, n[0], n[2], n[3]) for n, name in _rows(_text(last, "idle"), 4) if not look.own or name in mine
    )
    if "processes" in last:
        look.processes = tuple(_processes(last["processes"].stdout))
    if "load" in last:
        look.load = _load(last["load"].stdout)
    look.notes = tuple(_notes(last, look))
    states = {one.about: one.state for one in readings if one.state}
    look.untold = tuple(f"{_CALLED.get(about, about)} {state}" for about, state in states.items())
    return look


def _states(text: str) -> Iterator[tuple[str, int]]:
    for numbers, name in _rows(text, 1):
        yield name, numbers[0]


def _rows(text: str, count: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the rows that begin with ``count`` numbers, each with the words behind them."""
    for row in text.splitlines():
        words = row.split(None, count)
        if len(words) == count + 1 and all(word.isdecimal() and len(word) < 12 for word in words[:count]):
            yield tuple(int(word) for word in words[:count]), words[count].strip()


def _peers(text: str) -> Iterator[Peer]:
    for numbers, name in _rows(text, 2):
        yield Peer(name, numbers[0], numbers[1])


def _processes(text: str) -> Iterator[Process]:
    for row in text.splitlines():
        words = row.split(None, 6)
        if len(words) == 7 and words[0].isdecimal():
            open_, limit, threads, age = (_whole(words[at]) for at in (1, 2, 3, 5))
            yield Process(int(words[0]), open_, limit, threads or 0, age, words[6])


def _whole(word: str) -> int | None:
    return int(word) if word.isdecimal() and len(word) < 12 else None


def _load(text: str) -> tuple[float, float, float] | None:
    found = re.match(r"\s*(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) ", text)
    return (float(found[1]), float(found[2]), float(found[3])) if found else None


def _notes(last: dict[str, Reading], look: Seen) -> Iterator[str]:
    """Yield what else is out of order: pressure, full disks, processes that were killed, units that failed."""
    for kind, waited in re.findall(r"^(cpu|io|memory) some .*?avg60=(\d+\.\d+)", _text(last, "memory"), re.MULTILINE):
        if float(waited) >= _PRESSURE:
            yield f"waiting for {kind} in {float(waited):.0f}% of the last minute"
    for used, where in re.findall(r"(\d+)% (/\S*)$", _text(last, "disk"), re.MULTILINE):
        if int(used) >= _FULL and int(used) <= 100 and not where.startswith(("/mnt/", "/snap/", "/media/")):
            yield f"{where} is {used}% full"
    killed = [row for row in _text(last, "kernel").splitlines() if _KILLED.search(row)]
    if killed:
        yield f"the kernel killed a process: {killed[-1].strip()[:120]}"
    if failed := [
        row.split()[0] for row in _text(last, "units").splitlines() if row.split() and ".s" in row.split()[0]
    ]:
        yield f"failed units: {', '.join(failed[:3])}{' …' if len(failed) > 3 else ''}"
    if look.load and (cores := re.search(r"^(\d+)\s*\Z", _text(last, "load"), re.MULTILINE)):
        yield f"load {look.load[0]:.1f} on {cores[1]} core{'s' if cores[1] != '1' else ''}"


def _text(last: dict[str, Reading], about: str) -> str:
    return last[about].stdout if about in last else ""
