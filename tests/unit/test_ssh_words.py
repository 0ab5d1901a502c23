"""The way to a host, and what ssh and paramiko say when it cannot be gone, as gaps a person can act on."""

import os
from pathlib import Path

import pytest

from opsbrief.errors import GapKind, SourceError
from opsbrief.transport.deadline import Deadline
from opsbrief.transport.ssh.openssh import failure
from opsbrief.transport.ssh.route import Access, Hop, route
from opsbrief.transport.ssh.words import locked_up, translate

GATE = Hop(host="gate", address="10.0.0.1", port=22, user="ops")
APP = Hop(host="app1", address="10.0.0.7", port=2222, user="ops")


# Real words of OpenSSH 9.2 and paramiko 5.1.
@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ssh: Could not resolve hostname app1: Name or service not known", GapKind.UNREACHABLE, "cannot be resolved"),
        ("ssh: connect to host 10.0.0.7 port 2222: Connection refused", GapKind.UNREACHABLE, "refuses the connection"),
        ("ssh: connect to host 10.0.0.7 port 2222: No route to host", GapKind.UNREACHABLE, "no way to app1"),
        ("ssh: connect to host 10.0.0.7 port 2222: Connection timed out", GapKind.UNREACHABLE, "did not answer"),
        ("Connection timed out during banner exchange", GapKind.UNREACHABLE, "did not answer"),
        ("kex_exchange_identification: read: Connection reset by peer", GapKind.UNREACHABLE, "closed the connection"),
        ("kex_exchange_identification: Connection closed by remote host", GapKind.UNREACHABLE, "closed the connection"),
        ("kex_exchange_identification: banner line contains invalid characters", GapKind.BAD_ANSWER, "no SSH server"),
        ("Error reading SSH protocol banner", GapKind.BAD_ANSWER, "no SSH server"),
        ("Bad remote protocol version identification: 'HTTP/1.1 400'", GapKind.BAD_ANSWER, "no SSH server"),
        ("Unable to negotiate with 10.0.0.7 port 2222: no matching host key type found. Their offer: ssh-dss",
         GapKind.UNREACHABLE, "no method in common"),
        ("Received disconnect: 2: Too many authentication failures", GapKind.UNAUTHORIZED, "too many keys"),
        ("/x/config: line 2: Bad configuration option: nonsense", GapKind.REJECTED, "SSH configuration"),
        ("channel 0: open failed: administratively prohibited: open failed", GapKind.UNAVAILABLE, "no more sessions"),
        ("mux_client_request_session: session request failed: Session open refused by peer", GapKind.UNAVAILABLE,
         "no more sessions"),
        ("something new\x1b[2J", GapKind.UNREACHABLE, r"something new\x1b[2J"),
        ("", GapKind.UNREACHABLE, "without a word"),
    ],
)  # fmt: skip
def test_each_failure_has_its_kind_and_a_sentence(said: str, kind: GapKind, words: str) -> None:
    error = translate(APP, said)
    assert error.kind is kind
    assert words in error.message
    assert "\x1b" not in error.message


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("No ED25519 host key is known for [10.0.0.7]:2222 and you have requested strict checking.",
         GapKind.UNREACHABLE, "the host key of app1 (port 2222) is unknown"),
        ("No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\nConnection closed",
         GapKind.UNREACHABLE, "the host key of gate is unknown"),
        ("WARNING: IDENTIFICATION HAS CHANGED!\nHost key for [10.0.0.7]:2222 has changed and you have requested strict",
         GapKind.UNREACHABLE, "app1 (port 2222) shows another host key"),
        ("WARNING: REVOKED HOST KEY DETECTED!\nED25519 host key for [10.0.0.7]:2222 was revoked", GapKind.UNREACHABLE,
         "is revoked"),
        ("ops@10.0.0.7: Permission denied (publickey).", GapKind.UNAUTHORIZED, "app1 (port 2222) does not let ops in"),
        ("ops@10.0.0.1: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", GapKind.UNAUTHORIZED,
         "gate does not let ops in"),
    ],
)  # fmt: skip
def test_of_several_hosts_the_one_is_named_that_it_is_about(said: str, kind: GapKind, words: str) -> None:
    error = failure([GATE, APP], said)
    assert error.kind is kind
    assert words in error.message


def test_a_jump_host_whose_way_leads_back_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(SourceError, match="more than 8 hosts") as caught:
        route(Access(config=str(config)), "a", Deadline(30))
    assert caught.value.kind is GapKind.REJECTED


def test_names_in_known_hosts_have_the_port_where_it_is_another() -> None:
    assert GATE.names == ("10.0.0.1",)
    assert APP.names == ("[10.0.0.7]:2222", "10.0.0.7")
    assert Hop(host="a", address="b", port=2222, user="u", alias="Alias").names == ("Alias",)


def test_options_win_over_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host app1\n  HostName 10.0.0.7\n  Port 2222\n  User other\n  ProxyJump gate\n")
    gate, app = route(Access(config=str(config), user="ops", port=22), "app1", Deadline(30))
    assert (app.address, app.port, app.user, gate.host) == ("10.0.0.7", 22, "ops", "gate")
    (first, last) = route(Access(config=str(config), jump=("me@other:99",)), "app1", Deadline(30))
    assert (first.host, first.user, first.port, last.user) == ("other", "me", 99, "other")


def test_an_encrypted_key_is_told_by_its_own_words(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n")
    assert locked_up(str(key))
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\n")
    assert not locked_up(str(key))
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI=\n")
    assert locked_up(str(key))
    assert not locked_up(os.devnull)
    assert not locked_up(str(tmp_path / "none"))
