"""known_hosts: who is known, by which key, and whom it forbids."""

import base64
import hmac

import pytest

from opsbrief.transport.ssh.known import Known, about, entries, types, verdict

KEY, OTHER = (base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes([n]) * 32).decode() for n in (1, 2))
NAMES = ("[app1]:2222", "app1")


def judge(text: str, names: tuple[str, ...] = NAMES) -> Known:
    return verdict(list(entries([text])), names, base64.b64decode(KEY))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Known.NO),
        (f"[app1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"app1 ssh-ed25519 {KEY}", Known.YES),
        (f"app1 ssh-ed25519 {OTHER}", Known.NO),
        (f"[app1]:2222 ssh-ed25519 {OTHER}", Known.CHANGED),
        (f"[app1]:2222 ssh-ed25519 {OTHER}\napp1 ssh-ed25519 {KEY}", Known.CHANGED),
        (f"[app1]:2222 ssh-ed25519 {OTHER}\n[app1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"app2 ssh-ed25519 {KEY}", Known.NO),
        (f"app1.example.com ssh-ed25519 {KEY}", Known.NO),
        (f"[app1]:2223 ssh-ed25519 {KEY}", Known.NO),
        (f"@revoked * ssh-ed25519 {KEY}\n[app1]:2222 ssh-ed25519 {KEY}", Known.REVOKED),
        (f"[app1]:2222 ssh-ed25519 {KEY}\n@revoked app1 ssh-ed25519 {KEY}", Known.REVOKED),
        (f"[app1]:2222 ssh-ed25519 {KEY}\n@revoked app1 ssh-ed25519 {OTHER}", Known.YES),
        (f"[app1]:2222 ssh-ed25519 {KEY}\n@revoked app2 ssh-ed25519 {KEY}", Known.YES),
        (f"@revoked * ssh-ed25519 {OTHER}", Known.NO),
        (f"@cert-authority * ssh-ed25519 {KEY}", Known.AUTHORITY),
        (f"@cert-authority * ssh-ed25519 {OTHER}\n[app1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"@cert-authority app2 ssh-ed25519 {OTHER}", Known.NO),
        (f"# [app1]:2222 ssh-ed25519 {KEY}", Known.NO),
        (f"[app1]:2222 ssh-ed25519 not+base64!\n[app1]:2222 ssh-ed25519 {KEY} comment", Known.YES),
        (f"[app1]:2222\n@revoked\n@cert-authority x\n\t[app1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"!app1,[app1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"![app1]:2222,[app*]:2222 ssh-ed25519 {KEY}", Known.NO),
        (f"[APP1]:2222 ssh-ed25519 {KEY}", Known.YES),
        (f"app2,[app1]:2222,app3 ssh-ed25519 {KEY}", Known.YES),
        (f"|1|AAAA|BBBB ssh-ed25519 {KEY}", Known.NO),
        (f"|1| ssh-ed25519 {KEY}", Known.NO),
    ],
)
def test_every_line_counts_as_it_should(text: str, expected: Known) -> None:
    assert judge(text) is expected


def test_a_key_of_the_plain_name_says_nothing_against_another_port() -> None:
    assert judge(f"app1 ssh-ed25519 {OTHER}") is Known.NO
    assert judge(f"app1 ssh-ed25519 {OTHER}", ("app1",)) is Known.CHANGED


def test_a_hashed_name_is_found() -> None:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, b"[app1]:2222", "sha1").digest()
    hashed = "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))
    assert judge(f"{hashed} ssh-ed25519 {KEY}") is Known.YES
    assert judge(f"{hashed} ssh-ed25519 {KEY}", ("[app1]:2223",)) is Known.NO


@pytest.mark.parametrize(
    ("hosts", "name", "expected"),
    [
        ("app?", "app1", True),
        ("app?", "app12", False),
        ("*", "anything", True),
        ("[*]:22", "[app1]:22", True),
        ("[ab]", "a", False),
        ("*.example.com,!db.example.com", "db.example.com", False),
        ("!db.example.com,*.example.com", "app.example.com", True),
        ("!db.example.com", "app.example.com", False),
    ],
)
def test_patterns_mean_what_they_mean_to_openssh(hosts: str, name: str, *, expected: bool) -> None:
    assert about(hosts, name) is expected


def test_the_types_of_the_known_keys_are_asked_for() -> None:
    found = list(entries([f"@revoked app1 ecdsa {KEY}\napp1 ssh-rsa {KEY}\n[app1]:2222 ssh-ed25519 {KEY}"]))
    assert types(found, NAMES) == ["ssh-ed25519", "ssh-rsa"]
