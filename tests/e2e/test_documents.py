"""Every JSON document is what its published schema says."""

import json
from pathlib import Path

import jsonschema
import pytest
from tests.e2e.conftest import Run


def schema(opsbrief: Run, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(opsbrief("config", "schema", name).stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_collect_and_findings(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "--since", "deploy", "--json", "-o", tmp_path, cwd=story)
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema(opsbrief, "collect"))
    findings = json.loads((Path(document["bundle"]) / "findings.json").read_text())
    jsonschema.validate(findings, schema(opsbrief, "findings"))


@pytest.mark.parametrize("command", ["metrics", "logs", "changes", "deploys"])
def test_rows(opsbrief: Run, story: Path, command: str) -> None:
    since = () if command == "deploys" else ("--since", "deploy")
    jsonschema.validate(json.loads(opsbrief(command, *since, "--json", cwd=story).stdout), schema(opsbrief, "rows"))


def test_a_wrong_document_does_not_pass(opsbrief: Run) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": "opsbrief.collect/1"}, schema(opsbrief, "collect"))
