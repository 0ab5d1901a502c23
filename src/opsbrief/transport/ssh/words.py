"""What can go wrong on the way to a host, in words a person can act on; the same for both ways."""

import re
from pathlib import Path

from opsbrief.errors import GapKind, SourceError
from opsbrief.text import line
from opsbrief.transport.ssh.known import Known
from opsbrief.transport.ssh.route import Hop

CONNECT = 10.0  # seconds for connection and greeting of one host; the deadline bounds the sum


def untrusted(hop: Hop, known: Known, shown: str = "") -> SourceError:
    """Return the error for a host key that cannot be believed; ``shown`` is its type and fingerprint."""
    port = "" if hop.port == 22 else f" -p {hop.port}"
    here = f"; it shows {shown}" if shown else ""
    sentences = {
        Known.NO: (
            f"the host key of {hop.where} is unknown, so nobody can say who answers there{here}",
            f"compare its fingerprint, then: ssh-keyscan{port} {line(hop.host_name)} >> ~/.ssh/known_hosts",
        ),
        Known.CHANGED: (
            f"{hop.where} shows another host key than the one that is known{here}",
            "was it set up anew, or does somebody else answer? if it is right: ssh-keygen -R, then add the new key",
        ),
        Known.REVOKED: (f"the host key of {hop.where} is revoked in known_hosts{here}", "the host needs a new key"),
        Known.AUTHORITY: (
            f"{hop.where} is known only by who signs its certificate, which paramiko cannot check",
            "set via: openssh, or add its key to known_hosts",
        ),
    }
    return SourceError(GapKind.UNREACHABLE, *sentences[known])


def refused(hop: Hop, tried: str = "") -> SourceError:
    """Return the error for a host that lets none of our keys in."""
    locked = [line(key, 100) for key in hop.keys if locked_up(key)]
    if locked:
        hint = f"{locked[0]} is encrypted and nobody is asked for its words: ssh-add it, or give key another file"
    elif not hop.keys:
        hint = "no key file is there: set key, or ssh-add one"
    else:
        hint = "is the public key in authorized_keys there, is user right, is the account open?"
    return SourceError(GapKind.UNAUTHORIZED, f"{hop.where} does not let {line(hop.user, 60)} in{tried}", hint)


def locked_up(path: str) -> bool:
    """Whether the private key in a file is encrypted, by its own words."""
    try:
        data = Path(path).read_bytes()[:4096]
    except OSError:
        return False
    if b"ENCRYPTED" in data:
        return True
    # "openssh-key-v1\0", then the name of the cipher with its length before it: "none" is base64 "AAAABG5vbmU".
    return b"OPENSSH PRIVATE KEY" in data and b"AAAABG5vbmU" not in data


def shut(hop: Hop, place: tuple[str, int], said: str, *, forbidden: bool) -> SourceError:
    """Return the error for a place that a host does not lead to, in the words of its sshd."""
    there = f"{line(place[0], 100)}:{place[1]}"
    reason = line(said.strip().lower(), 200)
    if forbidden:
        return SourceError(
            GapKind.UNAVAILABLE, f"{hop.where} does not forward to {there}: {reason}",
            "see AllowTcpForwarding and PermitOpen in its sshd_config",
        )  # fmt: skip
    return SourceError(
        GapKind.UNREACHABLE, f"{hop.where} cannot connect to {there}: {reason}",
        "is the server running there, on this address and port?",
    )  # fmt: skip


#: What ssh or paramiko says -> kind, sentence, hint; the first row that fits.
_TABLE: tuple[tuple[str, GapKind, str, str], ...] = (
    (
        r"could not resolve|name or service not known|gaierror|nodename nor servname|temporary failure in name",
        GapKind.UNREACHABLE, "the name of {where} cannot be resolved", "check the host name",
    ),
    (
        r"administratively prohibited|open failed|stdio forwarding failed|connect failed|session open refused",
        GapKind.UNAVAILABLE, "{where} opens no more sessions or forwards nothing: {said}",
        "see MaxSessions and AllowTcpForwarding in its sshd_config",
    ),
    (r"refused", GapKind.UNREACHABLE, "{where} refuses the connection", "is sshd running there, on this port?"),
    (
        r"no route to host|network is unreachable", GapKind.UNREACHABLE, "there is no way to {where}",
        "is it up, is a firewall between?",
    ),
    (
        (
            r"bad remote protocol version|protocol identification|invalid ssh identification|exchange_identification: "
            r"(?!read|connection|write)|error reading ssh protocol banner|banner line contains|bad packet length|"
            r"protocol version mismatch|incompatible version|packet corrupt"
        ),
        GapKind.BAD_ANSWER, "what answers at {where} is no SSH server", "is this the right port?",
    ),
    (
        r"timed? ?out", GapKind.UNREACHABLE, f"{{where}} did not answer within {CONNECT:g} s",
        "is it up, is a firewall between?",
    ),
    (
        r"unable to negotiate|no matching|incompatible|no acceptable", GapKind.UNREACHABLE,
        "{where} and this machine have no method in common: {said}", "old servers offer only SHA-1 or DSA; renew it",
    ),
    (r"too many authentication failures", GapKind.UNAUTHORIZED, "{where} was shown too many keys", "set key"),
    (
        (
            r"bad configuration|bad owner or permissions|configuration option|garbage at end|can't open user config|"
            r"missing argument|percent_expand|keyword .* extra arguments"
        ),
        GapKind.REJECTED, "the SSH configuration cannot be used: {said}", "try: ssh -G HOST",
    ),
    (
        r"connection (closed|reset)|broken pipe|eof", GapKind.UNREACHABLE, "{where} closed the connection",
        "is it overloaded, does it allow this address?",
    ),
)  # fmt: skip


def translate(hop: Hop, said: str) -> SourceError:
    """Return the error that somebody's words stand for."""
    words = line(said, 300)
    for pattern, kind, sentence, hint in _TABLE:
        if re.search(pattern, said, re.IGNORECASE):
            return SourceError(kind, sentence.format(where=hop.where, said=words), hint)
    return SourceError(GapKind.UNREACHABLE, f"the connection to {hop.where} failed: {words or 'without a word'}", "")
