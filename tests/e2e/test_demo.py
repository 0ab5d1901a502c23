"""The whole walk on real local storage: what a developer would read of the story."""

import html.parser
import json
import re
from pathlib import Path

import pytest
from tests.e2e.conftest import Run


@pytest.fixture(scope="module")
def text(bundle: Path) -> str:
    return (bundle / "brief.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def findings(bundle: Path) -> list[dict[str, object]]:
    document = json.loads((bundle / "findings.json").read_text(encoding="utf-8"))
    assert document["format"] == "opsbrief.findings/1"
    found: list[dict[str, object]] = document["findings"]
    return found


def of(findings: list[dict[str, object]], code: str) -> list[dict[str, object]]:
    return [finding for finding in findings if finding["code"] == code]


def test_the_bundle_holds_every_form_of_the_brief(bundle: Path) -> None:
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {"brief.html", "brief.md", "brief.txt", "findings.json", "manifest.json"} <= names
    assert any(name.startswith("graphs/") for name in names)


def test_five_lines_say_what_changed_since_when_and_what_is_ruled_out(text: str) -> None:
    opening = text[:1600]
    assert "connections" in opening
    assert "2.14.0" in opening
    assert "8 of 8" in opening
    assert "infrastructure" in opening


def test_the_leak_is_found_with_its_shape_and_its_start(findings: list[dict[str, object]]) -> None:
    (connections,) = [finding for finding in of(findings, "shift") if finding["subject"] == "connections"]
    assert connections["verdict"] == "changed"
    assert connections["shape"] == "sawtooth"
    assert len(connections["hosts"]) == 8  # type: ignore[arg-type] # reason: JSON
    facts = connections["facts"]
    assert isinstance(facts, dict)
    assert 2.5 < facts["slope_per_minute"] < 4.2


def test_what_did_not_change_is_not_called_changed(findings: list[dict[str, object]]) -> None:
    verdicts = {finding["subject"]: finding["verdict"] for finding in of(findings, "shift")}
    assert verdicts["requests"] == "unchanged"
    assert not [name for name, verdict in verdicts.items() if "batch" in str(name) and verdict == "changed"]


def test_the_logs_have_one_exploded_and_the_new_patterns(findings: list[dict[str, object]]) -> None:
    patterns = {str(finding["subject"]): finding for finding in of(findings, "log-pattern")}
    (leak,) = [finding for subject, finding in patterns.items() if "not released after response" in subject]
    (pool,) = [finding for subject, finding in patterns.items() if "timeout waiting for connection" in subject]
    (endpoint,) = [finding for subject, finding in patterns.items() if "suggest" in subject]
    assert (leak["verdict"], pool["verdict"], endpoint["verdict"]) == ("new", "exploded", "new")
    order = list(patterns.values())
    assert order.index(leak) < order.index(endpoint)
    assert order.index(pool) < order.index(endpoint)
    assert "UpstreamClient.java" in leak["facts"]["code_at"]  # type: ignore[index] # reason: JSON


def test_infrastructure_is_answered_with_its_limits(findings: list[dict[str, object]]) -> None:
    (alibi,) = of(findings, "alibi")
    assert alibi["verdict"] == "ruled out"
    said = f"{alibi['headline']} {alibi['detail']}"
    assert "8 of 8 nodes reported" in said
    assert "packages outside Puppet not looked at" in said


def test_no_person_and_no_blame_is_in_any_form(bundle: Path) -> None:
    for name in ("brief.html", "brief.md", "brief.txt"):
        content = (bundle / name).read_text(encoding="utf-8")
        assert "Dana" not in content
        assert not re.search(r"caused by|fault of|because of|root cause|culprit", content, re.IGNORECASE)


def test_people_are_named_when_asked(opsbrief: Run, bundle: Path) -> None:
    assert "Dana" in opsbrief("render", bundle, "--people", "--format", "txt").stdout


def test_the_first_page_fits_a_page(text: str) -> None:
    first = text.split("\n" + "─" * 40, maxsplit=1)[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 45
    assert max(len(line) for line in first.splitlines()) <= 80


class Page(html.parser.HTMLParser):
    """Collects what a page would fetch and run."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            remote = name in {"src", "href", "xlink:href", "action"} and value and not value.startswith(("#", "data:"))
            if remote or name.startswith("on"):
                self.outside.append(f"{tag} {name}={value}")


def test_the_page_stands_alone(bundle: Path) -> None:
    content = (bundle / "brief.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(content)
    assert page.outside == []
    assert "svg" in page.tags
    assert "script" not in page.tags
    assert "Content-Security-Policy" in content
    assert "default-src 'none'" in content


def test_rendering_the_bundle_again_gives_the_same_bytes(opsbrief: Run, bundle: Path, tmp_path: Path) -> None:
    for form, name in (("html", "brief.html"), ("md", "brief.md"), ("txt", "brief.txt"), ("json", "findings.json")):
        done = opsbrief("render", bundle, "--format", form, "-o", tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes() == (bundle / name).read_bytes()


def test_every_id_on_the_page_leads_to_a_receipt(opsbrief: Run, bundle: Path, text: str) -> None:
    ids = sorted(set(re.findall(r"\b[EF]\d+\b", text)))
    assert ids
    for ident in (ids[0], ids[-1]):
        done = opsbrief("show", bundle, ident)
        assert done.returncode == 0, done.stderr
        assert ident in done.stdout
    assert opsbrief("show", bundle, "E99999").returncode == 2
