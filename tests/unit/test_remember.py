import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbrief.config import load
from opsbrief.errors import ConfigError, OpsbriefError
from opsbrief.model.evidence import Change, Event
from opsbrief.model.marking import Marking
from opsbrief.model.window import Anchor, Window
from opsbrief.readers.graphite.events import markers, remark, written
from opsbrief.remember import mark
from opsbrief.sources.deploylog import DeployLines
from opsbrief.transport.deadline import Deadline

NOW = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
WINDOW = Window(
    start=NOW - timedelta(hours=2), end=NOW + timedelta(hours=1), anchor=Anchor("time", NOW), before=timedelta(hours=1)
)


def config(tmp_path: Path, marks: str = "marks: [log]", log: str = "deploy.log") -> Path:
    path = tmp_path / "opsbrief.yaml"
    path.write_text(
        f"timezone: Europe/Berlin\nsources:\n  log: {{type: deploylog, path: {tmp_path / log}}}\n"
        f"  repo: {{type: git, path: {tmp_path}, role: application}}\n{marks}\n"
    )
    return path


def test_marks_come_back_as_what_they_are(tmp_path: Path) -> None:
    settings = load([config(tmp_path)], {})
    mark(settings, "deploy", "shop 2.14.1 to\t8 hosts", now=NOW)
    mark(settings, "fix", "pool limit\nlowered to 250", at="16:12", now=NOW)
    mark(settings, "note", "customers say 2.14.1 is slow", at="2026-11-20T16:30:00+00:00", now=NOW)
    assert (tmp_path / "deploy.log").read_text().splitlines() == [
        "2026-11-20T16:40:00Z\t2.14.1\tshop 2.14.1 to 8 hosts",
        "2026-11-20T15:12:00Z\t\tpool limit lowered to 250\tfix",
        "2026-11-20T16:30:00Z\t\tcustomers say 2.14.1 is slow\tnote",
    ]
    source = DeployLines(name="log", path=str(tmp_path / "deploy.log"))
    fix, note, deploy = source.collect(WINDOW, Deadline(5))
    assert isinstance(deploy, Change)
    assert (deploy.ref, deploy.at) == ("2.14.1", NOW)
    assert isinstance(fix, Event)
    assert isinstance(note, Event)
    assert (fix.kind, fix.state, fix.output) == ("marker", "fix", "pool limit lowered to 250")
    assert (note.state, note.output) == ("note", "customers say 2.14.1 is slow")
    assert [found.ref for found in source.deploys(WINDOW.start, WINDOW.end, Deadline(5))] == ["2.14.1"]  # type: ignore[union-attr] # reason: no gap here


def test_a_line_that_was_cut_off_is_ended_first(tmp_path: Path) -> None:
    (tmp_path / "deploy.log").write_text("2026-11-20T14:00:00Z\t2.14.0\tcut of")
    mark(load([config(tmp_path)], {}), "deploy", "2.14.1", now=NOW)
    assert (tmp_path / "deploy.log").read_text().splitlines()[1] == "2026-11-20T16:40:00Z\t2.14.1\t2.14.1"


@pytest.mark.parametrize(
    ("marks", "options", "said"),
    [
        ("", {}, r"add marks: \[log\]"),
        ("marks: [repo]", {}, "nothing can be marked in 'repo'"),
        ("marks: [lgo]", {}, "did you mean 'log'"),
        ("marks: {log: 1}", {}, "must be a list"),
        ("marks: [log]", {"to": ["repo"]}, "nothing can be marked in 'repo'"),
        ("marks: log", {"service": "shop"}, "no service 'shop'"),
        ("marks: log", {"at": "deploy"}, "is no instant of its own"),
        ("marks: log", {"at": "2026-11-20T23:00:00Z"}, "still to come"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tmp_path: Path, marks: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(OpsbriefError, match=said) as caught:
        mark(load([config(tmp_path, marks)], {}), "note", "x", now=NOW, **options)  # type: ignore[arg-type] # reason: options of any type
    assert caught.value.exit_code == 2
    assert not (tmp_path / "deploy.log").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = mark(load([config(tmp_path, log="no/such/folder/deploy.log")], {}), "note", "x", now=NOW)
    assert done.written == {}
    assert [failed.source for failed in done.failed] == ["log"]
    assert "cannot write" in str(done.failed[0].error)


def test_marks_are_in_the_schema(tmp_path: Path) -> None:
    found = load([config(tmp_path, "marks: log")], {})
    assert [source.name for _, source in found.marks] == ["log"]
    with pytest.raises(ConfigError, match="marks"):
        load([config(tmp_path, "marks: 7")], {})


def test_events_tell_whose_note_they_are() -> None:
    note = Marking(kind="note", at=NOW, text="slow", service="shop")
    body = written(note, ("deploy", "shop"))
    assert body == {"what": "slow", "tags": ["note", "opsbrief", "service:shop"], "when": 1795192800, "data": ""}
    (event,) = markers([body])
    assert [remark(event, service) for service in ("shop", "other", "")] == ["note", "", "note"]
    deploy = written(Marking(kind="deploy", at=NOW, text="2.14.1", ref="2.14.1"), ("deploy", "shop"))
    assert (deploy["tags"], json.loads(deploy["data"])) == (["deploy", "shop", "opsbrief"], {"ref": "2.14.1"})
    assert remark(next(markers([deploy])), "shop") == ""
