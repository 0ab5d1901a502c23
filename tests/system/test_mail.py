import os
import re
import subprocess
import sys
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.golden import story
from tests.system.exim import PASSWORD, SMALL, USER, Exim

from opsbrief import deliver
from opsbrief.compose import compose
from opsbrief.deliver import message
from opsbrief.errors import DeliveryError
from opsbrief.model.brief import Brief
from opsbrief.secret import Secret
from opsbrief.settings import Mail

pytestmark = pytest.mark.system

DEV, QA = "dev@example.com", "qa@example.com"


@pytest.fixture(scope="module")
def whole() -> Brief:
    return compose(story.evidence(), story.findings())


@pytest.fixture
def brief(whole: Brief, request: pytest.FixtureRequest) -> Brief:
    """Return the story as another incident for each test, so that its mails can be told apart."""
    return replace(whole, service=f"{whole.service} {request.node.name}")


def safe(exim: Exim, **options: object) -> Mail:
    """Return a configuration that Exim accepts: STARTTLS, its certificate believed, logged in."""
    given = {"smtp": "localhost", "port": exim.starttls, "ca_file": exim.ca, "user": USER, "timeout": 15.0}
    return Mail(**{**given, "password": Secret(PASSWORD), "sender": "Ops <ops@example.com>", **options})  # type: ignore[arg-type] # reason: any option


def clear(exim: Exim, port: int = 0, **options: object) -> Mail:
    """Return a configuration without TLS and without login."""
    given = {"smtp": "127.0.0.1", "port": port or exim.clear, "tls": "none", "timeout": 15.0}
    return Mail(**{**given, "sender": "ops@example.com", **options})  # type: ignore[arg-type] # reason: any option


def tree(part: EmailMessage) -> tuple[object, ...] | str:
    if not part.is_multipart():
        return part.get_content_type()
    return (part.get_content_subtype(), *(tree(inner) for inner in part.iter_parts()))


def test_starttls_with_login_delivers_every_part_whole(exim: Exim, brief: Brief) -> None:
    receipt = deliver.send(brief, safe(exim), [DEV])
    got = exim.received(receipt.letter.identity.message, DEV)
    pictures = ("image/png",) * (len(tree(got)[1][2]) - 2)  # type: ignore[arg-type,index] # reason: checked below
    assert tree(got) == (
        "mixed",
        ("alternative", "text/plain", ("related", "text/html", *pictures)),
        "text/html",
    )
    assert pictures
    assert got["Subject"] == brief.subject
    assert (got["From"], got["To"]) == ("Ops <ops@example.com>", DEV)
    assert got.get_body(("plain",)).get_content().startswith(brief.service)  # type: ignore[union-attr] # reason: seen above
    assert "over TLSv1" in receipt.relay
    (accepted,) = (row for row in exim.log().splitlines() if got["Message-ID"][1:-1] in row and " <= " in row)
    assert " X=TLS1." in accepted
    assert f" A=plain:{USER}" in accepted


def test_what_arrives_is_what_was_built_byte_for_byte(exim: Exim, brief: Brief) -> None:
    receipt = deliver.send(brief, safe(exim), [DEV])
    got = exim.received(receipt.letter.identity.message, DEV)
    sent = receipt.letter.data.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
    assert sent in got.as_bytes()
    assert receipt.letter == message.build(brief, sender="Ops <ops@example.com>", to=[DEV])


def test_tls_from_the_first_byte(exim: Exim, brief: Brief) -> None:
    receipt = deliver.send(brief, safe(exim, tls="implicit", port=exim.implicit), [DEV])
    assert exim.received(receipt.letter.identity.message, DEV)
    assert "over TLSv1" in receipt.relay


def test_in_clear_only_when_told_so_and_without_a_login(exim: Exim, brief: Brief) -> None:
    receipt = deliver.send(brief, clear(exim), [DEV])
    assert exim.received(receipt.letter.identity.message, DEV)
    assert receipt.relay.endswith(", not encrypted")


def refused(exim: Exim, brief: Brief, mail: Mail, to: str = DEV) -> DeliveryError:
    """Return why nothing was sent, and hold that nothing was: no copy, and no secret in what is said."""
    with pytest.raises(DeliveryError) as caught:
        deliver.send(brief, mail, [to])
    assert not exim.all(message.identity(brief, mail.sender).message)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_a_certificate_that_nobody_vouches_for_is_refused(exim: Exim, brief: Brief) -> None:
    for mail in (safe(exim, ca_file=""), safe(exim, ca_file="", tls="implicit", port=exim.implicit)):
        error = refused(exim, brief, mail)
        assert "no trusted TLS connection" in error.message
        assert "ca_file" in error.hint


def test_an_expired_certificate_is_refused(exim: Exim, brief: Brief) -> None:
    mail = safe(exim, port=exim.expired, ca_file=str(exim.room / "expired.pem"))
    assert "certificate has expired" in refused(exim, brief, mail).message


def test_a_relay_without_starttls_gets_neither_password_nor_mail(exim: Exim, brief: Brief) -> None:
    error = refused(exim, brief, safe(exim, port=exim.clear))
    assert "offers no STARTTLS" in error.message
    assert PASSWORD not in exim.log()


def test_tls_of_the_wrong_kind_is_explained(exim: Exim, brief: Brief) -> None:
    error = refused(exim, brief, safe(exim, tls="implicit", port=exim.starttls))
    assert "does not speak TLS as configured" in error.message


def test_a_wrong_password_is_told_without_it(exim: Exim, brief: Brief) -> None:
    error = refused(exim, brief, safe(exim, password=Secret("not-s3cret")))
    assert "does not accept user 'ops': 535" in error.message
    assert "not-s3cret" not in str(error)


def test_a_relay_that_wants_a_login_says_so(exim: Exim, brief: Brief) -> None:
    error = refused(exim, brief, safe(exim, user="", password=None))
    assert f"for nobody: {DEV}: 550 authentication required" in error.message
    assert "deliver.mail.user" in error.hint


def test_one_refused_recipient_of_two_is_reported_and_the_other_has_the_mail(exim: Exim, brief: Brief) -> None:
    receipt = deliver.send(brief, clear(exim), ["reject@example.com", DEV])
    assert receipt.accepted == (DEV,)
    assert [(one.address, one.reason) for one in receipt.refused] == [("reject@example.com", "550 no such user")]
    assert exim.received(receipt.letter.identity.message, DEV)


def test_a_greylisted_recipient_is_asked_again_and_gets_one_copy(exim: Exim, brief: Brief) -> None:
    exim.open(greylist=False)
    heard: list[str] = []

    def tell(words: str) -> None:
        heard.append(words)
        exim.open(greylist=True)

    receipt = deliver.send(brief, clear(exim), ["once@example.com", DEV], tell=tell)
    assert receipt.accepted == ("once@example.com", DEV)
    assert "451 greylisted" in heard[0]
    message_id = receipt.letter.identity.message
    assert exim.received(message_id, "once@example.com")
    assert exim.received(message_id, DEV)
    assert len(exim.all(message_id)) == 2


def test_a_relay_that_always_says_later_is_left_in_time(exim: Exim, brief: Brief) -> None:
    error = refused(exim, brief, clear(exim, timeout=2.5), "grey@example.com")
    assert "451 try again later (asked again, still so)" in error.message
    assert error.hint == "it may take the mail later"


def test_a_relay_for_small_mails_gets_a_smaller_one_that_says_what_it_lacks(exim: Exim, brief: Brief) -> None:
    big = replace(brief, sections=(*brief.sections, *(replace(page, name=f"more{at}", heading=f"More {at}")
                  for at in range(60) for page in brief.sections if page.name == "receipts")))  # fmt: skip
    full = message.build(big, sender="ops@example.com", to=[DEV])
    assert len(full.data) > SMALL
    receipt = deliver.send(big, clear(exim, exim.small), [DEV])
    got = exim.received(receipt.letter.identity.message, DEV)
    assert len(receipt.letter.data) <= SMALL
    assert re.search("is attached, packed|Left out", got.get_body(("plain",)).get_content())  # type: ignore[union-attr] # reason: every mail has one


def test_a_mail_refused_for_its_content_is_reported(exim: Exim, brief: Brief) -> None:
    error = refused(exim, replace(brief, subject="FORBIDDEN words"), clear(exim))
    assert "refuses the mail: 550 this content is not taken" in error.message


def test_an_answer_stands_in_the_thread_of_the_first_mail(exim: Exim, brief: Brief) -> None:
    first = deliver.send(brief, clear(exim), [DEV])
    later = replace(brief, subject="another headline", collected_at=brief.end)
    second = deliver.send(later, clear(exim), [DEV], reply_to=brief)
    before = exim.received(first.letter.identity.message, DEV)
    after = exim.received(second.letter.identity.message, DEV)
    assert after["Message-ID"] != before["Message-ID"]
    assert after["In-Reply-To"] == before["Message-ID"]
    assert after["References"].split() == [*before["References"].split(), before["Message-ID"]]
    assert after["Subject"] == f"Re: {before['Subject']}"


def test_sendmail_reads_the_recipients_from_the_headers(
    exim: Exim, brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", exim.environment["LD_LIBRARY_PATH"])
    as_user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()
    mail = Mail(sendmail=(*as_user, *exim.sendmail), sender="ops@example.com", to=(DEV, QA))
    receipt = deliver.send(brief, mail)
    assert receipt.accepted == (DEV, QA)
    for address in (DEV, QA):
        got = exim.received(receipt.letter.identity.message, address)
        assert got["To"] == f"{DEV}, {QA}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail") / "story"
    assert run("demo", "-o", str(folder), "-f", "txt", cwd=folder.parent).returncode == 0
    return folder


def run(*args: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "opsbrief", *args]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "RELAY_PASSWORD": PASSWORD}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def configured(exim: Exim, demo: Path, tmp_path: Path) -> str:
    """Return the demo's configuration with this relay in it."""
    path = tmp_path / "opsbrief.yaml"
    relay = (
        f"deliver:\n  mail:\n    smtp: localhost\n    port: {exim.starttls}\n    ca_file: {exim.ca}\n"
        f"    user: {USER}\n    password: {{env: RELAY_PASSWORD}}\n    from: ops@example.com\n    to: {DEV}\n"
    )
    original = (demo / "opsbrief.yaml").read_text()
    path.write_text(original.replace("./", f"{demo}/") + relay)
    for name in ("repos", "whisper", "logs", "reports", "monit", "deploy.log", "icinga.log"):
        (tmp_path / name).symlink_to(demo / name)
    return str(path)


def only(folder: Path) -> Path:
    (found,) = folder.glob("opsbrief-*")
    return found


def message_id(shown: str) -> str:
    return next(row.split(": ")[1] for row in shown.splitlines() if row.startswith("Message-ID: "))


def test_collect_writes_the_bundle_and_sends_it(exim: Exim, configured: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("--config", configured, "collect", "shop", "--since", "deploy", "-o", str(out), "-f", "txt", "--send",
               cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"sent to {DEV} by localhost:{exim.starttls} over TLSv1" in done.stderr
    assert done.stdout.strip() == str(only(out) / "brief.txt")
    shown = run("--config", configured, "send", str(only(out)), "--dry-run", cwd=tmp_path)
    got = exim.received(message_id(shown.stdout), DEV)
    assert got.get_body(("plain",)).get_content().splitlines()[0] in shown.stdout  # type: ignore[union-attr] # reason: every mail has one


def test_send_reports_who_was_refused_and_how_to_repeat_for_them(configured: str, demo: Path) -> None:
    bundle = only(demo / "briefs")
    done = run("--config", configured, "send", str(bundle), "--to", f"{QA},reject@example.com", cwd=demo)
    assert done.returncode == 1
    assert f"sent to {QA} by" in done.stderr
    assert "not sent to reject@example.com: 550 no such user" in done.stderr
    assert f"again: opsbrief --config {configured} send {bundle} --to reject@example.com" in done.stderr
    assert PASSWORD not in done.stderr


def test_a_relay_that_is_down_costs_the_mail_but_not_the_bundle(configured: str, exim: Exim, tmp_path: Path) -> None:
    config = Path(configured)
    config.write_text(config.read_text().replace(f"port: {exim.starttls}", "port: 1"))
    out = tmp_path / "out"
    done = run("--config", configured, "collect", "shop", "--since", "deploy", "-o", str(out), "-f", "txt",
               "--send", DEV, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    assert "localhost:1 refuses the connection" in done.stderr
    assert f"again: opsbrief --config {configured} send {only(out)} --to {DEV}" in done.stderr
    assert done.stdout.strip() == str(only(out) / "brief.txt")
