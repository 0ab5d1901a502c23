"""Every source against every fault of its transport. Adding a source adds its cases.

A source behind HTTP or SSH is pointed at a peer that misbehaves, a source of files at files that are not
what they should be. Whatever happens: it ends in time, names a gap of a fitting kind, shows no
traceback and no credential.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.contract.peer import FAULTS, GREETINGS, echo, greeter, peer

from opsbrief.collect import collect
from opsbrief.errors import GapKind
from opsbrief.model.evidence import Outcome
from opsbrief.model.scope import Dashboard, Logs, Metric, Scope
from opsbrief.model.window import Anchor, Window
from opsbrief.secret import Secret
from opsbrief.source import Login, Ssh, Web
from opsbrief.sources import kinds, load

NOW = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
WINDOW = Window(
    start=NOW - timedelta(hours=1), end=NOW, anchor=Anchor("time", NOW), before=timedelta(hours=1),
    shifts=(("last-week", timedelta(days=7)),),
)  # fmt: skip
SCOPE = Scope(
    service="shop", hosts=("app1",), metrics=(Metric(target="collectd.{host}.load"),), logs=(Logs(),),
    dashboard=Dashboard(kind="collectd"),
)  # fmt: skip
TIMEOUT = 1.5

#: What a source needs besides url or path.
EXTRA: dict[str, dict[str, Any]] = {
    "argocd": {"applications": ("shop",)},
    "elasticsearch": {"index": "logs-*"},
    "git": {"role": "infrastructure"},
    "github": {"repository": "ops/shop", "environments": ("production",)},
    "gitlab": {"project": "ops/shop", "environments": ("production",)},
    "http": {"form": "series"},
    "kubernetes": {"namespace": "shop"},
}
#: What a source needs so that it asks a host over SSH, beside host and ssh.
OVER_SSH: dict[str, dict[str, Any]] = {
    "collectd": {"path": "/var/lib/collectd"},
    "monit": {"log": "/var/log/monit.log", "url": "http://127.0.0.1:2812"},
    "puppetreport": {"path": "/var/lib/puppet/reports/*/*.yaml"},
}

WEB = [kind for kind in kinds() if issubclass(load(kind), Web)]
FILES = [kind for kind in kinds() if "path" in {field.name for field in dataclasses.fields(load(kind))}]
HOSTS = [kind for kind in kinds() if {"host", "ssh"} <= {field.name for field in dataclasses.fields(load(kind))}]
PROGRAMS = [kind for kind in kinds() if kind not in {*WEB, *FILES, *HOSTS}]
#: These only end with the time that a source has.
WAITING = {"hang", "drip_headers", "endless_continue", "drip_body"}
#: These say nothing wrong in their bodies, only that there is nothing; which gap names it differs.
ODD_BODIES = {"null", "a_string", "a_number", "a_list", "an_object", "not_utf8"}
FITTING = {
    "unauthorized": {GapKind.UNAUTHORIZED},
    "forbidden": {GapKind.UNAUTHORIZED},
    "hang": {GapKind.TIMEOUT},
    "drip_headers": {GapKind.TIMEOUT},
    "endless_continue": {GapKind.TIMEOUT},
    "drip_body": {GapKind.TIMEOUT},
    "endless_body": {GapKind.TRUNCATED, GapKind.TIMEOUT},
    "gzip_bomb": {GapKind.TRUNCATED, GapKind.TIMEOUT},
}


def test_every_source_is_in_one_of_the_suites() -> None:
    assert all("command" in {field.name for field in dataclasses.fields(load(kind))} for kind in PROGRAMS)


def run(kind: str, **options: Any) -> Outcome:
    return run_all([kind], **options)[kind]


def run_all(kinds_: Sequence[str], **options: Any) -> dict[str, Outcome]:
    """Ask sources of several kinds side by side, as a brief does."""
    sources = [
        (kind, load(kind)(name="witness", timeout=TIMEOUT, scope=SCOPE, **EXTRA.get(kind, {}), **options))
        for kind in kinds_
    ]
    started = time.monotonic()
    evidence, _ = collect(sources, WINDOW, SCOPE)
    assert time.monotonic() - started < TIMEOUT + 1.5
    assert not [outcome.traceback for outcome in evidence.outcomes if outcome.traceback]
    return {outcome.type: outcome for outcome in evidence.outcomes}


@cache
def waited(fault: str) -> dict[str, Outcome]:
    """Let every source wait for the same peer at once: one after the other they would wait for minutes."""
    with peer(FAULTS[fault]) as server:
        return run_all(WEB, url=server.url)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", WEB)
def test_a_faulty_server_becomes_a_gap(kind: str, fault: str) -> None:
    if fault in WAITING:
        outcome = waited(fault)[kind]
    else:
        with peer(FAULTS[fault]) as server:
            outcome = run(kind, url=server.url)
    assert outcome.gaps, "nothing is wrong?"
    found = {gap.kind for gap in outcome.gaps}
    assert GapKind.BUG not in found
    assert found <= FITTING.get(fault, found)
    assert all(gap.detail and "\x1b" not in gap.detail for gap in outcome.gaps)


@pytest.mark.parametrize("kind", WEB)
def test_a_credential_that_a_server_echoes_is_redacted_at_the_door(kind: str) -> None:
    from opsbrief.redact import Redactor  # noqa: PLC0415 - only here

    login = Login(user="ops", password=Secret("CANARY-77"), headers={"X-Api-Key": Secret("CANARY-88")})
    with peer(echo) as server:
        outcome = run(kind, url=server.url, auth=login)
    shown = str(Redactor(["CANARY-77", "CANARY-88"]).value(outcome.gaps))
    assert "CANARY" not in shown
    assert "b3BzOkNBTkFSWS03Nw" not in shown  # ops:CANARY-77 in base64


@pytest.mark.parametrize("kind", WEB)
def test_a_closed_port_is_unreachable(kind: str) -> None:
    with peer(FAULTS["hang"]) as server:
        url = server.url
    assert {gap.kind for gap in run(kind, url=url).gaps} == {GapKind.UNREACHABLE}


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(4096))


def _long(path: Path) -> None:
    path.write_bytes(b"x" * 10_000_000)


PLACES: dict[str, Callable[[Path], None]] = {
    "missing": lambda _path: None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "garbage": _garbage,
    "one_long_line": _long,
    "folder": lambda path: path.mkdir(),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_not_what_it_should_be_becomes_a_gap(kind: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    PLACES[place](path)
    outcome = run(kind, path=str(path))
    nothing_yet = (kind, place) == ("deploylog", "empty")  # a log nobody has written to knows no deploy: no gap
    assert outcome.gaps or nothing_yet, "nothing is wrong?"
    assert GapKind.BUG not in {gap.kind for gap in outcome.gaps}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_may_not_be_read_is_said(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("x")
    path.chmod(0)
    assert run(kind, path=str(path)).gaps


#: Programs that do not do what they should, as words for a shell; then the gap that fits, where only one does.
MISDEEDS: dict[str, tuple[str, GapKind | None]] = {
    "fails": ("echo went wrong >&2; exit 3", GapKind.UNAVAILABLE),
    "is_killed": ("kill -9 $$", GapKind.UNAVAILABLE),
    "hangs": ("exec sleep 60", GapKind.TIMEOUT),
    "leaves_a_child_with_its_output": ("sleep 60 & echo", GapKind.TIMEOUT),
    "never_ends": ("exec yes", None),
    "floods_both_outputs": ("yes >&2 & exec yes", None),
    "garbage": ("exec head -c 100000 /dev/urandom", None),
    "one_long_line": ("head -c 10000000 /dev/zero | tr '\\0' x", None),
    "moves_the_cursor": (r"printf '\033[2J\033[1A%s\n' x", None),
    "deep": (r"head -c 100000 /dev/zero | tr '\0' '['", None),
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
@pytest.mark.parametrize("form", ["series", "events", "logs", "changes", "reading"])
@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_faulty_program_becomes_a_gap(kind: str, form: str, misdeed: str) -> None:
    script, fitting = MISDEEDS[misdeed]
    outcome = run(kind, form=form, command=("sh", "-c", script))
    found = {gap.kind for gap in outcome.gaps}
    assert outcome.gaps or form == "reading", "nothing is wrong?"  # a reading is whatever was printed
    assert GapKind.BUG not in found
    assert fitting is None or fitting in found
    assert "\x1b" not in str([(gap.what, gap.detail) for gap in outcome.gaps])


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_that_is_not_there_is_said(kind: str) -> None:
    (gap,) = run(kind, form="reading", command=("/no/such/program",)).gaps
    assert gap.kind is GapKind.UNAVAILABLE
    assert "/no/such/program" in gap.detail


def reach(kind: str, port: int, via: str, host: str = "127.0.0.1") -> Outcome:
    ssh = Ssh(port=port, user="ops", config=os.devnull, known_hosts=os.devnull, agent=False, via=via)  # type: ignore[arg-type] # reason: one of the two
    return run(kind, host=host, ssh=ssh, **OVER_SSH.get(kind, {}))


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize("via", ["openssh", "paramiko"])
@pytest.mark.parametrize("kind", HOSTS)
def test_a_host_that_does_not_speak_ssh_becomes_a_gap(kind: str, via: str, greeting: str) -> None:
    with greeter(GREETINGS[greeting]) as server:
        gaps = reach(kind, server.port, via).gaps
    found = {gap.kind for gap in gaps}
    assert found
    assert found <= {GapKind.TIMEOUT, GapKind.UNREACHABLE, GapKind.BAD_ANSWER}
    assert "\x1b" not in str([(gap.what, gap.detail) for gap in gaps])
    assert all(gap.detail for gap in gaps)


@pytest.mark.parametrize("via", ["openssh", "paramiko"])
@pytest.mark.parametrize("kind", HOSTS)
def test_a_host_that_refuses_or_has_no_name_is_unreachable(kind: str, via: str) -> None:
    with greeter(GREETINGS["hang"]) as server:
        port = server.port
    assert {gap.kind for gap in reach(kind, port, via).gaps} == {GapKind.UNREACHABLE}
    assert {gap.kind for gap in reach(kind, 22, via, "-oProxyCommand=false").gaps} == {GapKind.REJECTED}
