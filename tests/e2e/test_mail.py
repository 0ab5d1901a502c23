"""The mail commands as a person meets them, without a mail server."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from tests.e2e.conftest import Run


@pytest.fixture(scope="module")
def mailing(story: Path) -> Path:
    """Return the story's configuration with a sendmail that only keeps what it is given."""
    path = story / "mailing.yaml"
    relay = f"deliver:\n  mail:\n    sendmail: [tee, {story}/sent.eml]\n    from: ops@example.com\n"
    path.write_text((story / "opsbrief.yaml").read_text() + relay)
    path.chmod(0o600)
    return path


def test_a_dry_run_shows_headers_parts_and_text_and_needs_no_relay(opsbrief: Run, story: Path, bundle: Path) -> None:
    done = opsbrief("send", bundle, "--dry-run", "--to", "dev@example.com", cwd=story)
    assert done.returncode == 0, done.stderr
    head, parts, *rest = done.stdout.split("\n\n")
    assert "To: dev@example.com" in head
    assert "Subject: [opsbrief] shop: " in head
    assert [row.split()[-2] for row in parts.splitlines() if "image/png" in row]
    assert "in all" in parts
    assert "CHANGED" in rest[1]


def test_without_a_configured_relay_nothing_is_asked_and_nothing_sent(opsbrief: Run, story: Path, bundle: Path) -> None:
    for command in (("send", bundle), ("collect", "shop", "--since", "deploy", "--send")):
        done = opsbrief(*command, cwd=story)
        assert done.returncode == 2
        assert "deliver.mail: no mail is configured" in done.stderr
    assert len([*(story / "briefs").iterdir()]) == 1


def test_send_gives_the_mail_to_sendmail(opsbrief: Run, story: Path, mailing: Path, bundle: Path) -> None:
    done = opsbrief("--config", mailing, "send", bundle, "--to", "dev@example.com", cwd=story)
    assert done.returncode == 0, done.stderr
    assert "sent to dev@example.com by tee" in done.stderr
    found = message_from_bytes((story / "sent.eml").read_bytes(), policy=policy.default)
    assert found["To"] == "dev@example.com"


def test_nobody_to_send_to_and_no_address_are_said_before_anything_is_asked(
    opsbrief: Run, story: Path, mailing: Path
) -> None:
    for given, reason in (("", "nobody is named to send the mail to"), ("shop", "'shop' is no mail address")):
        done = opsbrief("--config", mailing, "collect", "shop", "--since", "deploy", "--send", *filter(None, [given]),
                        cwd=story)  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert reason in done.stderr


def test_a_draft_is_in_the_bundle_and_is_made_again_from_it(opsbrief: Run, story: Path, tmp_path: Path) -> None:
    done = opsbrief("collect", "shop", "--since", "deploy", "-f", "eml", "-o", tmp_path, cwd=story)
    assert done.returncode == 0, done.stderr
    draft = Path(done.stdout.strip())
    assert draft.name == "brief.eml"
    again = opsbrief("render", draft.parent, "-f", "eml", "-o", tmp_path / "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "brief.eml").read_bytes() == draft.read_bytes()
    found = message_from_bytes(draft.read_bytes(), policy=policy.default)
    assert found["X-Unsent"] == "1"
    assert found["From"] is None
