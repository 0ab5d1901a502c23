"""Every JSON document is what its published schema says."""

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.e2e.conftest import Run

SCHEMAS = resources.files("opsbrief") / "schemas"


def schema(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_collect_and_findings(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy", "--json", "-o", tmp_path, cwd=story)
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema("collect"))
    findings = json.loads((Path(document["bundle"]) / "findings.json").read_text())
    jsonschema.validate(findings, schema("findings"))


@pytest.mark.parametrize("command", ["metrics", "logs", "changes", "deploys"])
def test_rows(opsbrief: Run, story: Path, command: str) -> None:
    since = () if command == "deploys" else ("--since", "deploy")
    jsonschema.validate(json.loads(opsbrief(command, *since, "--json", cwd=story).stdout), schema("rows"))


DOCUMENTS = ("collect", "diff", "findings", "rows", "show", "tick", "verify", "weekly", "window")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_wrong_document_does_not_pass(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": f"opsbrief.{name}/1"}, schema(name))


def test_every_schema_can_be_printed(opsbrief: Run) -> None:
    found = {path.name.removesuffix(".json") for path in SCHEMAS.iterdir() if path.name.endswith(".json")}
    assert found == {*DOCUMENTS}
    assert json.loads(opsbrief("config", "schema", "tick").stdout) == schema("tick")
    refused = opsbrief("config", "schema", "nothing")
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in DOCUMENTS)


def strict(schema: Any) -> Any:
    """Return the schema with every object closed that names its keys: nothing is said that it does not speak of."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if "properties" in schema else closed


def fits(document: Any, found: dict[str, object]) -> None:
    jsonschema.validate(document, strict(found))


def test_window(opsbrief: Run, story: Path) -> None:
    for since in ("deploy", "yesterday 14:00", "tag:v2.14.0"):
        document = json.loads(opsbrief("window", "--since", since, "--json", cwd=story).stdout)
        fits(document, schema("window"))


def test_show_of_a_bundle_of_each_kind_of_item_and_of_findings(opsbrief: Run, bundle: Path) -> None:
    known = schema("show")
    document = json.loads(opsbrief("show", bundle, "--json").stdout)
    fits(document, known)
    # The first item of each source: series, log lines, changes, a release, deploys.
    ids = [one["ids"].partition("..")[0] for one in document["sources"] if one["ids"]]
    findings = [one["id"] for one in json.loads((bundle / "findings.json").read_text())["findings"]]
    for ident in [*ids, findings[0], findings[-1]]:
        fits(json.loads(opsbrief("show", bundle, ident, "--json").stdout), known)


def test_verify_and_diff(opsbrief: Run, story: Path, bundle: Path, tmp_path: Path) -> None:
    fits(json.loads(opsbrief("verify", bundle, "--json").stdout), schema("verify"))
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b" / "brief.txt").write_text("altered")
    found = json.loads(opsbrief("verify", tmp_path / "b", "--json").stdout)
    assert found["differences"]
    fits(found, schema("verify"))
    made = opsbrief("collect", "--since", "deploy+30m", "-o", tmp_path / "out", "-f", "txt", cwd=story)
    assert made.returncode == 0, made.stderr
    (other,) = (tmp_path / "out").iterdir()
    found = json.loads(opsbrief("diff", bundle, other, "--json").stdout)
    assert found["rows"]
    fits(found, schema("diff"))


def test_ticks(opsbrief: Run, story: Path) -> None:
    done = opsbrief("watch", "--since", "deploy", "--every", "1s", "--until", "now+1s", "--json", cwd=story)
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert ticks
    for tick in ticks:
        fits(tick, schema("tick"))


def test_weekly(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = opsbrief(
        "weekly", "--since", "7d", "--json", "-f", "json", "-o", out, cwd=story, XDG_STATE_HOME=str(tmp_path)
    )
    document = json.loads(done.stdout)
    assert document["services"][0]["releases"]
    fits(document, schema("weekly"))
    (digest,) = out.glob("*/digest.json")
    fits(json.loads(digest.read_text()), schema("weekly"))
