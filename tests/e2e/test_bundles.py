"""Working with finished bundles: every form of them, truth, differences."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Run


@pytest.fixture(scope="session")
def packed(opsbrief: Run, story: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the story's bundle as a .tgz and a .zip, as ``collect --pack`` writes them."""
    found = {}
    for form in ("tgz", "zip"):
        folder = tmp_path_factory.mktemp(form)
        done = opsbrief("collect", "--since", "deploy", "-f", "md,txt", "--pack", form, "-o", folder, cwd=story)
        assert done.returncode == 0, done.stderr
        found[form] = Path(done.stdout.strip())
        assert list(folder.iterdir()) == [found[form]]
    return found


def reseal(bundle: Path, name: str) -> None:
    """Give the manifest the digest of a file as it is now, as a forger would."""
    data = (bundle / name).read_bytes()
    manifest = json.loads((bundle / "manifest.json").read_text())
    for row in manifest["files"]:
        if row["name"] == name:
            row |= {"size": len(data), "digest": f"sha256:{hashlib.sha256(data).hexdigest()}"}
    (bundle / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the story's bundle that may be damaged."""
    return Path(shutil.copytree(bundle, tmp_path / bundle.name))


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_a_packed_bundle_serves_wherever_a_folder_does(opsbrief: Run, packed: dict[str, Path], form: str) -> None:
    path = packed[form]
    assert "2.14.0" in opsbrief("render", path, "-f", "md").stdout
    assert json.loads(opsbrief("show", path, "F1", "--json").stdout)["subject"] == "connections"
    verified = opsbrief("verify", path)
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    assert list(path.parent.iterdir()) == [path], "nothing was extracted"


def test_verify_finds_nothing_wrong_with_what_was_written(opsbrief: Run, bundle: Path) -> None:
    done = opsbrief("verify", bundle, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["recomputed"], document["differences"]) == (0, True, True, [])
    assert document["numbers"] > 300
    assert document["files"] == len([path for path in bundle.rglob("*") if path.is_file()]) - 1


def _number(bundle: Path) -> None:
    """Make the incident smaller, and the digest fit."""
    document = json.loads((bundle / "findings.json").read_text())
    document["findings"][0]["after"] /= 2
    (bundle / "findings.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    reseal(bundle, "findings.json")


def _word(bundle: Path) -> None:
    text = (bundle / "brief.md").read_text()
    (bundle / "brief.md").write_text(text.replace("8 of 8 hosts", "1 of 8 hosts", 1))
    reseal(bundle, "brief.md")


def _cost(bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_text())
    document["sources"][0]["status"] = "failed"
    (bundle / "manifest.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _graph(bundle: Path) -> None:
    shutil.copy(bundle / "graphs" / "metric-01.png", bundle / "graphs" / "key.png")
    reseal(bundle, "graphs/key.png")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_number, "findings.json: findings[F1].after is "),
        (_word, "brief.md: line 1 is not what the evidence gives"),
        (_cost, 'manifest.json: sources[graphite].status is "failed", the evidence gives "ok"'),
        (_graph, "graphs/key.png: is not what the evidence gives"),
        (lambda bundle: (bundle / "brief.txt").unlink(), "brief.txt: is missing"),
        (lambda bundle: (bundle / "brief.txt").write_text("x"), "brief.txt: has 1 bytes, the manifest says"),
        (lambda bundle: (bundle / "more.txt").write_text("x"), "more.txt: is not in the manifest"),
    ],
)
def test_verify_says_each_difference_in_one_line(
    opsbrief: Run, copy: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(copy)
    done = opsbrief("verify", copy)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith(said)], done.stdout
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {said.partition(":")[0]}


def test_verify_leaves_the_words_of_another_version_alone(opsbrief: Run, copy: Path) -> None:
    _word(copy)
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text.replace('"version": "', '"version": "0.0.', 1))
    done = opsbrief("verify", copy)
    assert (done.returncode, done.stdout) == (0, "")
    assert "made by opsbrief 0.0." in done.stderr


@pytest.mark.parametrize("command", ["verify", "render", "show"])
def test_a_broken_bundle_is_one_sentence_and_code_one(
    opsbrief: Run, packed: dict[str, Path], tmp_path: Path, command: str
) -> None:
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(packed["tgz"].read_bytes()[:5000])
    slip = tmp_path / "slip.zip"
    with zipfile.ZipFile(slip, "w") as archive:
        archive.writestr("../manifest.json", "{}")
    for path, said in ((cut, "is broken"), (slip, "leads out of its folder")):
        done = opsbrief(command, path)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tgz", "slip.zip"]


def test_diff_says_what_is_new_in_the_second(opsbrief: Run, story: Path, bundle: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy-3h", "--until", "deploy", "-f", "txt", "-o", tmp_path, cwd=story)
    before = Path(done.stdout.strip()).parent
    said = opsbrief("diff", before, bundle)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert "  connections: unchanged → changed" in lines
    assert any(line.startswith("  ERROR") and "not released" in line and ": - → new" in line for line in lines)
    parts = {row["part"] for row in json.loads(opsbrief("diff", before, bundle, "--json").stdout)["rows"]}
    assert {"window", "verdicts", "levels", "log patterns"} <= parts
    same = opsbrief("diff", bundle, bundle)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "no difference\n")
