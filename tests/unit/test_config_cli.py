import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from opsbrief.cli.run import main
from opsbrief.config.schema import schema
from opsbrief.sources import kinds

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*/opsbrief.yaml"))


def run(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def config(folder: Path, text: str) -> str:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return str(path)


TEXT = """\
timezone: Europe/Berlin
sources:
  g: {type: graphite, url: http://g.example, auth: {password: {env: PW}, user: me}, timeout: 5s}
services: {shop: {hosts: "app{1..3}"}}
"""


def test_show_prints_yaml_that_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["--config", config(tmp_path, TEXT), "config", "show"], capsys)
    assert code == 0
    shown = yaml.safe_load(out)
    assert shown["sources"]["g"]["auth"]["password"] == {"env": "PW"}
    assert shown["services"]["shop"]["hosts"] == "app{1..3}"
    assert shown["sources"]["g"]["timeout"] == 5
    again = run(["--config", config(tmp_path, out), "config", "show"], capsys)
    assert again == (0, out, "")


def test_show_origin_names_the_place_of_each_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, TEXT)
    _, out, _ = run(["--config", path, "config", "show", "--origin"], capsys)
    rows = {line.split()[0]: line.split()[-1] for line in out.splitlines()}
    assert rows["timezone"] == f"{path}:1:11"
    assert rows["sources.g.timeout"] == f"{path}:3:94"
    assert rows["defaults.out"] == "built-in"


def test_show_json_has_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, TEXT)
    document = json.loads(run(["--config", path, "config", "show", "--json"], capsys)[1])
    assert document["format"] == "opsbrief.config/1"
    assert document["files"] == [path]
    assert document["config"]["timezone"] == "Europe/Berlin"
    assert {"path": "timezone", "value": "Europe/Berlin", "origin": f"{path}:1:11"} in document["values"]


def test_every_mistake_is_printed_and_the_exit_code_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, "sorces: {}\ntimezone: Nowhere")
    code, out, err = run(["--config", path, "config", "show"], capsys)
    assert (code, out) == (2, "")
    assert f"opsbrief: {path}:1:1: unknown option 'sorces' (did you mean 'sources'?" in err
    assert f"opsbrief: {path}:2:11: timezone: there is no time zone 'Nowhere'" in err


def test_the_schema_is_one_and_the_examples_are_valid_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["config", "schema"], capsys)
    printed = json.loads(out)
    Draft202012Validator.check_schema(printed)
    validator = Draft202012Validator(printed)
    assert code == 0
    assert {name for name in printed["$defs"] if name.startswith("source.")} == {f"source.{kind}" for kind in kinds()}
    for path in EXAMPLES:
        assert not list(validator.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "text",
    [
        "sorces: {}",
        "sources: {g: {type: graphit}}",
        "sources: {g: {type: graphite}}",
        "sources: {g: {type: graphite, url: 'http://x', ulr: y}}",
        "sources: {g: {type: graphite, url: 'http://x', auth: {password: secret}}}",
        "sources: {g: {type: graphite, url: 'http://x', auth: {password: {env: A, file: B}}}}",
        "sources: {g: {type: git, path: x, role: other}}",
        "services: {s: {metrics: [{name: x}]}}",
        "services: {s: {metrics: [{target: x, worse: sideways}]}}",
        "defaults: {before: 4h}",
        "version: 2",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not Draft202012Validator(schema()).is_valid(yaml.safe_load(text))
    assert run(["--config", config(tmp_path, text), "config", "show"], capsys)[0] == 2


def test_path_says_what_is_read_and_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, TEXT)
    assert run(["--config", path, "config", "path"], capsys) == (0, f"{path}\n", "")
    missing = str(tmp_path / "none.yaml")
    assert run(["--config", missing, "config", "path"], capsys) == (0, "", f"not there: {missing}\n")


def test_sources_lists_every_type_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(["sources", "--json"], capsys)[1])
    assert [one["type"] for one in document["types"]] == list(kinds())
    for one in document["types"]:
        assert one["about"]
        assert one["gives"]
        for option in one["options"]:
            assert option["help"], (one["type"], option["name"])


def test_every_option_of_a_service_is_described_in_the_schema() -> None:
    services = schema()["properties"]["services"]["additionalProperties"]["properties"]
    for part in (services, services["metrics"]["items"]["properties"]):
        assert all(option.get("description") for option in part.values())


@pytest.mark.parametrize("kind", kinds())
def test_the_example_of_each_type_loads(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["sources", kind], capsys)
    example = out.partition("example:\n")[2]
    text = "\n".join(line.removeprefix("  ") for line in example.splitlines())
    assert run(["--config", config(tmp_path, text), "config", "show"], capsys)[0] == 0


def test_an_unknown_type_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["sources", "graphit"], capsys)
    assert code == 2
    assert "there is no type of source 'graphit'; did you mean 'graphite'?" in err
