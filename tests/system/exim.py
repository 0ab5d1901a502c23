"""A real Exim (from Debian's package, unpacked) as an ordinary user on free ports, and what it received.

One server with a port for each way a relay can be: STARTTLS with login, TLS from the first byte with
login, in clear without login, in clear and only for small messages, and with an expired certificate.
"""

import datetime as dt
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.system.graphite import MissingError, free_port, ordinary

CACHE = Path(os.environ.get("OPSBRIEF_TEST_CACHE") or "~/.cache/opsbrief-tests").expanduser() / "exim"
USER, PASSWORD = "ops", "s3cret-of-the-relay"
SMALL = 150_000  # bytes that the small port takes

_CONFIG = """
exim_path = {room}/exim
spool_directory = {room}/spool
log_file_path = {room}/log_%s
pid_file_path = {room}/pid
exim_user = {uid}
exim_group = {gid}
primary_hostname = mail.example.com
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = {starttls} : {implicit} : {clear} : {small} : {expired}
tls_on_connect_ports = {implicit}
tls_advertise_hosts = ${{if or{{{{=={{$received_port}}{{{starttls}}}}}{{=={{$received_port}}{{{expired}}}}}}}{{*}}{{}}}}
tls_certificate = {room}/${{if =={{$received_port}}{{{expired}}}{{expired}}{{cert}}}}.pem
tls_privatekey = {room}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
message_size_limit = ${{if =={{$received_port}}{{{small}}}{{{most}}}{{20M}}}}
deliver_drop_privilege = true
queue_only = false
host_lookup =
rfc1413_hosts =
never_users =
keep_environment = LD_LIBRARY_PATH
acl_smtp_rcpt = rcpt
acl_smtp_data = check
begin acl
rcpt:
  deny local_parts = reject
       message = no such user
  defer local_parts = grey
       message = try again later
  defer local_parts = once
       condition = ${{if exists{{{room}/box/open}}{{no}}{{yes}}}}
       message = greylisted, try again
  deny condition = ${{if or{{{{=={{$received_port}}{{{starttls}}}}}{{=={{$received_port}}{{{implicit}}}}}}}}}
       !authenticated = *
       message = authentication required
  accept
check:
  deny condition = ${{if match{{$h_subject:}}{{FORBIDDEN}}}}
       message = this content is not taken
  accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  maildir_format
  directory = {room}/box/inbox
  create_directory
  user = {uid}
  group = {gid}
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


@dataclass(frozen=True)
class Exim:
    """The running server: its ports, its certificate, its mailbox."""

    room: Path
    starttls: int
    implicit: int
    clear: int
    small: int
    expired: int

    @property
    def ca(self) -> str:
        return str(self.room / "cert.pem")

    @property
    def sendmail(self) -> tuple[str, ...]:
        return (str(self.room / "exim"), "-C", str(self.room / "exim.conf"), "-t", "-i")

    @property
    def environment(self) -> dict[str, str]:
        """Return what Exim needs to find libraries that were unpacked beside it."""
        return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(self.room / "lib")}

    def open(self, *, greylist: bool) -> None:
        """Let recipient "once" through from now on, or no more."""
        flag = self.room / "box" / "open"
        flag.touch() if greylist else flag.unlink(missing_ok=True)

    def log(self) -> str:
        return (self.room / "log_main").read_text(encoding="utf-8", errors="replace")

    def received(self, message_id: str, to: str, seconds: float = 15) -> EmailMessage:
        """Return the mail with this id that was delivered to this address, waiting for it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for mail in self.all(message_id):
                if mail["Envelope-to"] == to:
                    return mail
            time.sleep(0.05)
        raise AssertionError(f"no mail {message_id} to {to}; Exim says: {self.log()[-2000:]}")

    def all(self, message_id: str) -> list[EmailMessage]:
        """Return every delivered copy of a message."""
        found = (path.read_bytes() for path in (self.room / "box" / "inbox" / "new").glob("*"))
        mails = [message_from_bytes(data, policy=policy.default) for data in found]
        return [mail for mail in mails if mail["Message-ID"] == message_id]


def install() -> Path:
    """Return Exim's program in the cache, unpacked from Debian's package when it is not there yet."""
    program = CACHE / "root" / "usr" / "sbin" / "exim4"
    if program.exists():
        return program
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise MissingError("Exim is taken from Debian's package exim4-daemon-light; there is no apt-get here")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as name:
        room = Path(name)
        planned = _apt("install", "--simulate", "--no-install-recommends", "exim4-daemon-light", room=room)
        libraries = re.findall(r"^Inst (lib\S+)", planned, re.MULTILINE)  # that this machine does not have yet
        said = _apt("download", "exim4-daemon-light", *libraries, room=room)
        packages = [*room.glob("*.deb")]
        if not any(package.name.startswith("exim4") for package in packages):
            raise MissingError(f"apt-get download exim4-daemon-light: {said.strip()[-200:]} (apt-get update?)")
        for package in packages:
            subprocess.run(["dpkg", "-x", package, room / "root"], check=True, timeout=120)
        with suppress(OSError):  # another run was faster
            (room / "root").rename(CACHE / "root")
    return program


def _apt(*arguments: str, room: Path) -> str:
    done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, timeout=300, cwd=room)
    return done.stdout + done.stderr


@contextmanager
def running() -> Iterator[Exim]:
    """Start Exim. Raises MissingError when it cannot be had or does not start."""
    program = install()
    with tempfile.TemporaryDirectory(prefix="opsbrief-exim-", ignore_cleanup_errors=True) as name:
        server = Exim(Path(name), *(free_port() for _ in range(5)))
        _prepare(server, program)
        command = [server.room / "exim", "-C", server.room / "exim.conf", "-bdf"]
        with (server.room / "said").open("wb") as said:
            process = subprocess.Popen(
                command, stdout=said, stderr=said, cwd=server.room, env=server.environment, **ordinary()
            )  # type: ignore[call-overload] # reason: user and group only for root
        try:
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(10)


def _prepare(server: Exim, program: Path) -> None:
    room = server.room
    for folder in ("spool", "box"):
        (room / folder).mkdir()
    # Debian's build looks up its own user before it reads any configuration; where the package is not
    # installed there is none, but it takes a number for a name.
    owner = (65534 if os.geteuid() == 0 else os.geteuid(), 65534 if os.geteuid() == 0 else os.getegid())
    own = b"Debian-exim\0"
    (room / "exim").write_bytes(program.read_bytes().replace(own, str(owner[0]).encode().ljust(len(own), b"\0")))
    (room / "exim").chmod(0o755)  # not set-user-id
    (room / "lib").mkdir()
    for library in (CACHE / "root").rglob("lib*.so.*"):
        shutil.copy(library, room / "lib")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    form = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (room / "key.pem").write_bytes(key.private_bytes(*form))
    now = dt.datetime.now(dt.UTC)
    for label, end in (("cert", now + dt.timedelta(days=2)), ("expired", now - dt.timedelta(days=1))):
        (room / f"{label}.pem").write_bytes(_certificate(key, end).public_bytes(pem))
    for path in (room, *room.rglob("*")):
        os.chown(path, *owner)
    settings = _CONFIG.format(
        room=room, uid=owner[0], gid=owner[1], most=SMALL, name=USER, password=PASSWORD,
        starttls=server.starttls, implicit=server.implicit, clear=server.clear, small=server.small,
        expired=server.expired,
    )  # fmt: skip
    (room / "exim.conf").write_text(settings)
    (room / "exim.conf").chmod(0o644)


def _certificate(key: ec.EllipticCurvePrivateKey, end: dt.datetime) -> x509.Certificate:
    """Return a certificate for localhost that vouches for itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _await(server: Exim, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        log = server.room / "log_main"
        if log.exists() and "daemon started" in log.read_text():
            return
        time.sleep(0.02)
    raise MissingError(f"Exim does not start: {(server.room / 'said').read_text()[-500:]}")
