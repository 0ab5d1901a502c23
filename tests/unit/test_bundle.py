import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from opsbrief import bundle
from opsbrief.errors import BundleError, GapKind
from opsbrief.model.artifact import Artifact
from opsbrief.model.evidence import (
    Change,
    Event,
    Evidence,
    FileStat,
    Gap,
    Histogram,
    Item,
    LogRecord,
    LogSample,
    Origin,
    Outcome,
    Reading,
    Release,
    Series,
)
from opsbrief.model.scope import Metric, Scope
from opsbrief.model.window import Anchor, Candidate, Deploy, Receipt, Window

NOW = datetime(2026, 11, 20, 16, 40, tzinfo=UTC)
ORIGIN = Origin(source="s", query="q", fetched_at=NOW, bytes=7, digest="sha256:00")
DEPLOY = Deploy(NOW - timedelta(days=3), "2.13.2", "before", "log")


def evidence() -> Evidence:
    window = Window(
        start=NOW - timedelta(hours=2), end=NOW, anchor=Anchor("deploy", NOW, "2.14.0"), before=timedelta(hours=2),
        zone="Europe/Berlin", shifts=(("last-week", timedelta(days=7)),), previous=DEPLOY,
        receipt=Receipt("deploy", "now", "newest", ("log",), (Candidate(DEPLOY, -3.5, taken=True),), ("warned",)),
    )  # fmt: skip
    record = LogRecord(timestamp=NOW, body="a\nb", severity_text="ERROR", resource={"host.name": "app1"})
    commit = Change(kind="commit", at=NOW, ref="ab" * 20, summary="s", files=(FileStat("p", "A", 1, 2),), origin=ORIGIN)
    items = (
        Series(name="a", start=0, step=60, values=np.array([1, np.nan, 3.5]), origin=ORIGIN, id="E1", tags={"a": "b"}),
        Series(name="b", start=60, step=10, values=np.array([]), origin=ORIGIN, id="E2"),
        LogSample(
            query="", span="incident", start=NOW, end=NOW, total=3, total_is_exact=True, records=(record, record),
            histogram=Histogram(start=0, step=60, counts={"ERROR": (1, 2)}), origin=ORIGIN, id="E3",
        ),
        replace(commit, id="E4"),
        Release(base="a", head="b", commits=(commit,), files=commit.files, origin=ORIGIN, id="E5"),
        Event(at=NOW, host="h", service="s", state="OK", state_type="hard", origin=ORIGIN, id="E6"),
        Reading(host="h", command="ss", exit_status=None, stdout="", stderr="no", at=NOW, origin=ORIGIN, id="E7"),
    )  # fmt: skip
    gap = Gap(source="s", what="x", kind=GapKind.TIMEOUT, detail="d", hint="h")
    return Evidence(
        window=window,
        scope=Scope(service="Shop A", hosts=("app1",), metrics=(Metric(target="x", limit=400.0, worse="up"),)),
        outcomes=(
            Outcome(source="s", type="graphite", role="application", items=items, gaps=(gap,), took=1.5, bytes=9),
            Outcome(source="t", type="git", traceback="Traceback"),
        ),
        collected_at=NOW, version="0.1.0", redactions={"password": 2},
    )  # fmt: skip


def without_values(item: Item) -> Item:
    return replace(item, values=()) if isinstance(item, Series) else item  # type: ignore[arg-type] # reason: compared apart


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = evidence()
    path = bundle.write(tmp_path, bundle.name("Shop A", NOW), bundle.files(written, []))
    found = bundle.read(path)
    assert path.name == "opsbrief-shop-a-20261120T164000Z"
    assert replace(found, outcomes=()) == replace(written, outcomes=())
    for old, new in zip(written.outcomes, found.outcomes, strict=True):
        assert replace(old, items=()) == replace(new, items=())
        for one, other in zip(old.items, new.items, strict=True):
            if isinstance(one, Series) and isinstance(other, Series):
                np.testing.assert_array_equal(one.values, other.values)
                assert other.values.dtype == np.float64
            assert without_values(one) == without_values(other)


def test_the_same_evidence_gives_the_same_bytes() -> None:
    assert bundle.files(evidence(), []) == bundle.files(evidence(), [])


def test_the_manifest_names_every_file_with_its_digest(tmp_path: Path) -> None:
    path = bundle.write(tmp_path, "b", bundle.files(evidence(), [Artifact("brief.md", "text/markdown", b"# x")]))
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["format"] == bundle.FORMAT
    on_disk = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert {file["name"] for file in manifest["files"]} == on_disk - {"manifest.json"}
    assert manifest["gaps"][0]["detail"] == "d"


def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = bundle.write(tmp_path, "b", bundle.files(evidence(), [Artifact("graphs/a.png", "image/png", b"x")]))
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in [path, *path.rglob("*")] if file.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.rglob("*") if file.is_file()} == {0o600}


def test_a_name_that_is_taken_gets_a_number_and_the_old_bundle_stays(tmp_path: Path) -> None:
    first = bundle.write(tmp_path, "b", bundle.files(evidence(), []))
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    second = bundle.write(tmp_path, "b", bundle.files(evidence(), []))
    assert second.name == "b-2"
    assert before == {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}


def test_a_configured_secret_stops_the_bundle(tmp_path: Path) -> None:
    content = bundle.files(evidence(), [Artifact("brief.md", "text/markdown", b"the pass is s3cretvalue.")])
    with pytest.raises(BundleError, match=r"brief\.md would hold a configured secret"):
        bundle.write(tmp_path, "b", content, ["s3cretvalue"])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(BundleError, match=r"cannot be written in .*file"):
        bundle.write(file, "b", bundle.files(evidence(), []))
    assert file.read_text() == "x"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "evidence/series.jsonl").unlink(), "broken"),
        (lambda path: (path / "evidence/evidence.json").unlink(), r"evidence\.json is missing"),
        (
            lambda path: (path / "manifest.json").write_text('{"format": "opsbrief.bundle/9"}'),
            r"reads opsbrief\.bundle/1",
        ),
        (lambda path: (path / "manifest.json").write_text("[]"), "broken"),
        (lambda path: (path / "evidence/logs.jsonl").write_text("{}\n"), "broken"),
        (lambda path: (path / "evidence/series.npy").write_bytes(b"\x93NUMPY junk"), "broken"),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    path = bundle.write(tmp_path, "b", bundle.files(evidence(), []))
    damage(path)
    with pytest.raises(BundleError, match=message):
        bundle.read(path)


def test_a_folder_that_is_no_bundle_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no whole bundle"):
        bundle.read(tmp_path)


_WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.unit.test_bundle import evidence
from opsbrief import bundle
from opsbrief.model.artifact import Artifact
content = bundle.files(evidence(), [Artifact(f"graphs/{{n}}.png", "image/png", b"x" * 100000) for n in range(20)])
print("ready", flush=True)
for count in range(1000):
    bundle.write(Path(sys.argv[1]), "b", content)
"""


def test_kill_at_any_moment_leaves_only_whole_bundles(tmp_path: Path) -> None:
    script = _WRITER.format(root=str(Path(__file__).parents[2]))
    for wait in (0.0, 0.003, 0.011, 0.017, 0.029, 0.041):
        with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(wait)
            writer.send_signal(signal.SIGKILL)
    whole = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    for path in whole:
        assert len(bundle.read(path).outcomes) == 2
        assert len(list((path / "graphs").iterdir())) == 20
    for leftover in tmp_path.glob(".opsbrief-*"):
        os.utime(leftover, (0, 0))
    bundle.write(tmp_path, "b", bundle.files(evidence(), []))
    assert list(tmp_path.glob(".opsbrief-*")) == []


def test_extract_replaces_a_file_whole(tmp_path: Path) -> None:
    (tmp_path / "brief.md").write_text("old")
    assert list(bundle.extract(tmp_path, [Artifact("brief.md", "text/markdown", b"new")])) == [tmp_path / "brief.md"]
    assert (tmp_path / "brief.md").read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["brief.md"]
