"""Working with finished bundles: every form of them, truth, differences."""

import hashlib
import json
import re
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


def test_redact_masks_for_outside_and_stays_true(opsbrief: Run, packed: dict[str, Path], tmp_path: Path) -> None:
    key = tmp_path / "who.json"
    before = packed["tgz"].read_bytes()
    new = tmp_path / "vendor.zip"
    done = opsbrief("redact", packed["tgz"], "-o", new, "--share", "external", "--map", key)
    assert (done.returncode, done.stdout.strip()) == (0, str(new)), done.stderr
    assert packed["tgz"].read_bytes() == before
    assert key.stat().st_mode & 0o777 == 0o600
    assert json.loads(key.read_text())["names"]["host-1"] == ["app1"]
    with zipfile.ZipFile(new) as archive:
        texts = {name: archive.read(name) for name in archive.namelist() if not name.endswith((".png", ".npy"))}
        manifest = json.loads(archive.read("vendor/manifest.json"))
    assert not [name for name, data in texts.items() if re.search(rb"(?i)\bapp[1-8]\b|\bbatch", data)]
    assert b"who.json" not in b"".join(texts.values())
    assert manifest["redactions"]["host"] > 100
    verified = opsbrief("verify", new)
    assert (verified.returncode, verified.stdout) == (0, "")
    rows = json.loads(opsbrief("diff", packed["tgz"], new, "--json").stdout)["rows"]
    assert [row["what"] for row in rows if row["part"] in {"verdicts", "levels"}] == []


def test_redact_never_writes_over_anything(opsbrief: Run, copy: Path, tmp_path: Path) -> None:
    over = opsbrief("redact", copy, "-o", copy)
    assert over.returncode == 1
    assert "is there already" in over.stderr
    inside = opsbrief("redact", copy, "-o", tmp_path / "new", "--share", "external", "--map", tmp_path / "new" / "who")
    assert inside.returncode == 1
    assert "inside the new bundle" in inside.stderr
    assert not (tmp_path / "new").exists()
    plain = opsbrief("redact", copy, "-o", tmp_path / "again")
    assert plain.returncode == 0, plain.stderr
    assert (tmp_path / "again" / "brief.md").read_bytes() == (copy / "brief.md").read_bytes()


@pytest.mark.parametrize("how", ["option", "configuration"])
def test_collect_masks_when_it_is_asked_or_configured_to(opsbrief: Run, story: Path, tmp_path: Path, how: str) -> None:
    config = story / f"{how}.yaml"
    config.write_text((story / "opsbrief.yaml").read_text() + "redact: {share: external}\n" * (how == "configuration"))
    share = ("--share", "external") * (how == "option")
    done = opsbrief("--config", config, "collect", "--since", "deploy", "-f", "md", "-o", tmp_path, *share, cwd=story)
    assert done.returncode in {0, 3}, done.stderr
    text = Path(done.stdout.strip()).read_text()
    assert "host-1" in text
    assert not re.search(r"\bapp[1-8]\b", text)
