import json
import math
from dataclasses import replace
from pathlib import Path

from tests.golden import story

from opsbrief.compose import compose
from opsbrief.render import data


def test_findings_are_all_there_with_their_numbers() -> None:
    evidence, findings = story.evidence(), story.findings()
    document = json.loads(data.findings(evidence, findings, compose(evidence, findings)))
    assert document["format"] == "opsbrief.findings/1"
    assert len(document["findings"]) == len(findings)
    first = document["findings"][0]
    assert first["id"] == "F1"
    assert first["verdict"] == "changed"
    assert first["onset"]["at"] == "2013-05-17T13:04:11Z"
    assert first["facts"]["slope_per_minute"] == 3.6
    assert first["basis"][0] == "E1"
    assert document["window"]["start"] == "2013-05-17T13:02:11Z"
    assert [gap["source"] for gap in document["gaps"]] == ["logs", "haproxy"]
    assert [source["status"] for source in document["sources"]].count("ok") == 6


def test_what_is_no_number_is_null() -> None:
    finding = replace(story.findings()[0], before=math.nan, after=math.inf, facts={"a": math.nan, "b": None, "c": "x"})
    document = json.loads(data.findings(story.evidence(), [finding], compose(story.evidence(), [finding])))
    [told] = document["findings"]
    assert told["before"] is None
    assert told["after"] is None
    assert told["facts"] == {"a": None, "b": None, "c": "x"}


def test_collect_says_where_the_bundle_is_and_how_the_run_ended() -> None:
    evidence, findings = story.evidence(), story.findings()
    brief = compose(evidence, findings)
    document = data.collected(evidence, findings, brief, Path("b"), ["brief.html"], 3)
    assert json.loads(json.dumps(document)) == document
    assert {"format", "bundle", "window", "headline", "findings", "gaps", "artifacts", "exit"} <= set(document)
    assert document["format"] == "opsbrief.collect/1"
    assert document["exit"] == 3
