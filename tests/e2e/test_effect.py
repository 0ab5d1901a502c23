"""The story told to its end: the fix goes out, and the effect is asked for, through the installed command."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Run

from opsbrief.demo import build

END = datetime(2026, 11, 20, 17, 40, tzinfo=UTC)
LASTED = timedelta(hours=2)
FIX = (END - LASTED).replace(second=5)
FORMS = ("html", "md", "txt", "json")


@pytest.fixture(scope="module")
def mended(opsbrief: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the story with a fix, two hours before its end, and the first brief of a minute before the fix."""
    folder = tmp_path_factory.mktemp("mended") / "story"
    build(folder, END, LASTED)
    done = opsbrief("collect", "shop", "--since", "deploy", "--until", iso(FIX - timedelta(minutes=1)), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def first(mended: Path) -> Path:
    """Return the first brief's bundle."""
    return next((mended / "briefs").glob("opsbrief-shop-2*"))


@pytest.fixture(scope="module")
def effect(opsbrief: Run, mended: Path, first: Path) -> Path:
    """Return the bundle about the effect."""
    forms = ("--format", ",".join(FORMS))
    done = opsbrief("effect", first, "--fix", "deploy", "--until", iso(END), *forms, cwd=mended)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).parent


def iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {f["subject"]: f["verdict"] for f in document["findings"] if f["code"].startswith("effect")}


def ask(opsbrief: Run, mended: Path, first: Path, *given: str) -> tuple[int, dict[str, Any]]:
    done = opsbrief("effect", first, "--json", "-o", mended / "asked", *given, cwd=mended)
    return done.returncode, json.loads(done.stdout)


def test_the_bundle_is_called_after_what_it_is_and_holds_every_form(effect: Path) -> None:
    assert re.fullmatch(r"opsbrief-shop-effect-\d{8}T\d{6}Z", effect.name)
    names = {str(path.relative_to(effect)) for path in effect.rglob("*") if path.is_file()}
    assert {"brief.html", "brief.md", "brief.txt", "findings.json", "manifest.json", "graphs/key.png"} <= names


def test_the_first_page_says_fixed_since_when_and_what_is_gone(effect: Path) -> None:
    page = (effect / "brief.txt").read_text(encoding="utf-8").split("\n" + "─" * 40, maxsplit=1)[0]
    assert "fixed since 2.14.1 (Fri 16:40): connections no longer rising" in page[:200]
    assert "2 of 2 error patterns gone" in page
    assert "8 → 0 resets" in page
    assert "on 8 of 8 hosts" in page.replace("\n" + " " * 14, " ")
    assert "Release the handle after the response" in page.replace("\n" + " " * 14, " ")
    assert "↑ 16:40 fix" in page
    assert len([line for line in page.splitlines() if line.strip()]) <= 45
    assert max(len(line) for line in page.splitlines()) <= 80


def test_the_numbers_are_those_of_the_story(effect: Path) -> None:
    document = json.loads((effect / "findings.json").read_text(encoding="utf-8"))
    facts = next(f["facts"] for f in document["findings"] if (f["code"], f["subject"]) == ("effect", "connections"))
    assert 2.9 < facts["slope_during"] < 3.9
    assert facts["slope_after_low"] < 0.05
    assert facts["slope_after_high"] > -0.05
    assert abs(facts["level_after"] - facts["level_before"]) < 8
    assert document["window"]["fix"]["ref"] == "2.14.1"


def test_the_harmless_new_endpoint_is_still_there_and_counts_for_nothing(effect: Path) -> None:
    found = verdicts(json.loads((effect / "findings.json").read_text(encoding="utf-8")))
    (endpoint,) = [verdict for subject, verdict in found.items() if "suggest" in subject]
    assert endpoint == "unchanged"
    assert found["the fix"] == "fixed"


def test_the_graph_has_three_grounds_and_both_lines(effect: Path) -> None:
    page = (effect / "brief.html").read_text(encoding="utf-8")
    key = page[page.index("<svg") : page.index("</svg>")]
    assert key.count('class="after"') == key.count('class="fixed"') == 1
    assert "deploy 2.14.0 (14:02)" in key
    assert "fix 2.14.1 (16:40)" in key


def test_the_axis_is_the_first_graphs(first: Path, effect: Path) -> None:
    before, after = ((path / "brief.html").read_text(encoding="utf-8") for path in (first, effect))
    ticks = re.compile(r'text-anchor="end"[^>]*>([^<]*)<')
    assert (
        ticks.findall(before[before.index("<svg") : before.index("</svg>")])[-5:]
        == (ticks.findall(after[after.index("<svg") : after.index("</svg>")])[-5:])
    )


def test_the_bundle_alone_gives_the_same_bytes(opsbrief: Run, effect: Path, tmp_path: Path) -> None:
    alone = tmp_path / effect.name
    shutil.copytree(effect, alone)
    for form, name in zip(FORMS, ("brief.html", "brief.md", "brief.txt", "findings.json"), strict=True):
        done = opsbrief("render", alone, "--format", form, "-o", tmp_path / "again")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "again" / name).read_bytes() == (effect / name).read_bytes()


def test_every_number_can_be_verified(opsbrief: Run, effect: Path) -> None:
    done = opsbrief("verify", effect)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ten_minutes_after_the_fix_victory_is_refused(opsbrief: Run, mended: Path, first: Path) -> None:
    code, document = ask(opsbrief, mended, first, "--fix", "deploy", "--until", iso(FIX + timedelta(minutes=6)))
    assert code == 0
    assert verdicts(document)["the fix"] in {"better", "too early"}
    assert "too early" in document["headline"]
    assert "more needed" in document["pager"]


def test_a_time_at_which_nothing_was_fixed_fixed_nothing(opsbrief: Run, mended: Path, first: Path) -> None:
    given = ("--fix", iso(FIX - timedelta(minutes=60)), "--until", iso(FIX - timedelta(minutes=2)))
    _, document = ask(opsbrief, mended, first, *given, "--fail-on", "unfixed")
    found = verdicts(document)
    assert found["connections"] == "unchanged"
    assert found["the fix"] in {"unchanged", "too early"}
    assert document["exit"] == 6


def test_an_effect_may_be_asked_for_again_from_its_own_bundle(
    opsbrief: Run, mended: Path, effect: Path, first: Path
) -> None:
    code, document = ask(opsbrief, mended, effect, "--fix", iso(FIX), "--until", iso(END))
    assert code == 0
    assert verdicts(document)["the fix"] == "fixed"
    again = Path(document["bundle"]) / "brief.txt"
    assert first.name in again.read_text(encoding="utf-8")


def test_the_mail_answers_the_first_one_in_its_thread(opsbrief: Run, mended: Path, first: Path, tmp_path: Path) -> None:
    program, config = tmp_path / "sendmail", tmp_path / "opsbrief.yaml"
    program.write_text(f'#!/bin/sh\ncat > "{tmp_path}/$(date +%s%N).eml"\n', encoding="utf-8")
    program.chmod(0o755)
    mail = f"deliver:\n  mail: {{sendmail: [{program}], from: ops@example.com, to: [dev@example.com]}}\n"
    story = (mended / "opsbrief.yaml").read_text(encoding="utf-8")
    for place in ("whisper", "logs/", "repos/", "deploy.log", "icinga.log", "monit/", "reports/"):
        story = re.sub(rf"((?:path|log): \"?){place}", rf"\g<1>{mended}/{place}", story)
    config.write_text(f"{story}\n{mail}", encoding="utf-8")
    assert opsbrief("--config", config, "send", first).returncode == 0
    given = ("--fix", "deploy", "--until", iso(END), "-o", tmp_path / "out", "--send")
    done = opsbrief("--config", config, "effect", first, *given)
    assert done.returncode == 0, done.stderr
    asked, answer = (message_from_bytes(path.read_bytes()) for path in sorted(tmp_path.glob("*.eml")))
    assert answer["In-Reply-To"] == asked["Message-ID"]
    assert answer["Subject"].replace("\n", "").startswith("Re: ")
    assert "fixed since 2.14.1" in str(answer.get_payload(0))


@pytest.mark.parametrize(
    ("fix", "sentence"),
    [
        ("2026-11-20T13:00Z", "not after the deploy 2.14.0 of the first brief"),
        ("deploy:2.14.0", "is the deploy 2.14.0 itself"),
        ("2026-11-20T18:00Z", "the data asked for ends"),
        ("teatime", "teatime"),
    ],
)
def test_a_wrong_fix_is_refused_with_a_sentence(
    opsbrief: Run, mended: Path, first: Path, fix: str, sentence: str
) -> None:
    done = opsbrief("effect", first, "--fix", fix, "--until", iso(END), cwd=mended)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_deploy_ends_with_4(opsbrief: Run, mended: Path, first: Path) -> None:
    done = opsbrief("effect", first, "--fix", "deploy:9.9.9", "--until", iso(END), cwd=mended)
    assert done.returncode == 4
    assert "2.14.1" in done.stderr  # the newest are named


def test_no_data_after_the_fix_ends_with_3_and_says_so(opsbrief: Run, mended: Path, first: Path) -> None:
    fix, until = END + timedelta(hours=1), END + timedelta(hours=2)
    assert until < datetime.now(UTC), "the story lies in the past"
    code, document = ask(opsbrief, mended, first, "--fix", iso(fix), "--until", iso(until))
    assert code == 3
    assert verdicts(document)["connections"] == "cannot tell"
    assert "no datapoint after the fix" in document["headline"]


def test_a_broken_bundle_ends_with_1(opsbrief: Run, mended: Path, first: Path, tmp_path: Path) -> None:
    broken = tmp_path / first.name
    shutil.copytree(first, broken)
    (broken / "evidence" / "evidence.json").write_text("{", encoding="utf-8")
    done = opsbrief("effect", broken, "--fix", "deploy", cwd=mended)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_is_not_configured_any_more_ends_with_2(
    opsbrief: Run, mended: Path, first: Path, tmp_path: Path
) -> None:
    other = tmp_path / "opsbrief.yaml"
    other.write_text(
        (mended / "opsbrief.yaml").read_text(encoding="utf-8").replace("  shop:\n    hosts", "  basket:\n    hosts")
    )
    done = opsbrief("--config", other, "effect", first, "--fix", "deploy", cwd=mended)
    assert done.returncode == 2
    assert "shop" in done.stderr
