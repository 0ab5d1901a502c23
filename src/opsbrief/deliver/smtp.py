"""Give a letter to a mail relay: the only module that speaks SMTP.

What the standard library leaves open is closed here: the certificate is always verified, a
password never travels without TLS, there is always an end (a relay that drips its answers too),
and every refusal is reported, also that of one recipient among several.
"""

import base64
import os
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from opsbrief.deliver.letter import Letter, OversizeError, Receipt, Refusal
from opsbrief.errors import DeliveryError
from opsbrief.settings import Mail
from opsbrief.text import line

if TYPE_CHECKING:
    from typing_extensions import Buffer

PORTS = {"starttls": 587, "implicit": 465, "none": 25}
PAUSES = (2.0, 5.0, 15.0)  # seconds before a relay that said "later" (4xx) is asked again
_CONNECT = 10.0  # seconds for one address of the relay


def send(
    mail: Mail,
    letter: Letter,
    *,
    pauses: Sequence[float] = PAUSES,
    tell: Callable[[str], None] | None = None,
) -> Receipt:
    """Send ``letter`` to all its recipients, asking again after a 4xx as long as ``mail.timeout`` allows.

    Returns who was accepted and who was refused; raises DeliveryError when nobody was accepted,
    OversizeError when the relay takes no message of this size.
    """
    end = time.monotonic() + mail.timeout
    relay = _Relay(mail)
    left, refused = letter.recipients, dict[str, str]()
    for pause in (*pauses, None):
        later = relay.attempt(letter, left, end - time.monotonic())
        refused |= {address: said for address, (code, said) in later.items() if code >= 500}
        left = tuple(address for address in left if address in later and address not in refused)
        if not left or pause is None or time.monotonic() + pause >= end:
            break
        if tell:
            tell(f"{relay.name} says later ({later[left[0]][1]}); asking again in {pause:g} s")
        time.sleep(pause)
    refused |= {address: f"{later[address][1]} (asked again, still so)" for address in left}
    accepted = tuple(address for address in letter.recipients if address not in refused)
    found = tuple(Refusal(address, refused[address]) for address in letter.recipients if address in refused)
    if not accepted:
        said = "; ".join(f"{one.address}: {one.reason}" for one in found)
        raise DeliveryError(f"{relay.name} took the mail for nobody: {said}", _advice(found))
    return Receipt(letter=letter, relay=relay.described, accepted=accepted, refused=found)


Answers = dict[str, tuple[int, str]]  # address -> code and words of the relay, for those it did not take


class _Turn:
    """One attempt, whose connection is cut when the time is over.

    A time limit on the socket is not enough: a relay that sends a byte a second never reaches it.
    """

    def __init__(self, seconds: float) -> None:
        self.client: smtplib.SMTP | None = None
        self.handing_over = False  # from here on, the relay may have the message although we were not told
        self.late = False
        self._timer = threading.Timer(max(0.0, seconds), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self.client:
            self.client.close()

    def _cut(self) -> None:
        self.late = True
        if self.client and self.client.sock:
            with suppress(OSError):
                self.client.sock.shutdown(2)  # both ways


class _Watched(smtplib.SMTP):
    """Tells its turn how far it is, from before the first byte on."""

    def __init__(self, turn: _Turn, host: str, port: int, wait: float) -> None:
        self._turn = turn
        turn.client = self
        super().__init__(host, port, local_hostname=_name(), timeout=wait)

    def data(self, msg: "Buffer | str") -> tuple[int, bytes]:
        """Hand the message over."""
        self._turn.handing_over = True
        return super().data(msg)


class _Wrapped(smtplib.SMTP_SSL):
    """The same in TLS from the first byte on."""

    def __init__(self, turn: _Turn, host: str, port: int, wait: float, context: ssl.SSLContext) -> None:
        self._turn = turn
        turn.client = self
        super().__init__(host, port, local_hostname=_name(), timeout=wait, context=context)

    def data(self, msg: "Buffer | str") -> tuple[int, bytes]:
        """Hand the message over."""
        self._turn.handing_over = True
        return super().data(msg)


class _Relay:
    """The configured relay."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._port = mail.port or PORTS[mail.tls]
        self.name = f"{mail.smtp}:{self._port}"
        self.described = self.name
        self._password = mail.password.reveal() if mail.password else ""
        self._context = None if mail.tls == "none" else self._trust()

    def attempt(self, letter: Letter, to: Sequence[str], seconds: float) -> Answers:
        """Send once; return whom the relay did not take. A relay that says later to all is no error here."""
        answers: Mapping[str, tuple[int, bytes | str]]
        with _Turn(seconds) as turn, self._explained(turn):
            try:
                client = self._connected(turn, min(_CONNECT, seconds))
                self._checked(client, letter)
                answers = client.sendmail(letter.sender, list(to), letter.data)
                with suppress(smtplib.SMTPException, OSError):  # it has the mail, whatever it says to that
                    client.quit()
            except smtplib.SMTPRecipientsRefused as error:
                last = [*error.recipients.values()][-1]  # a 421 for one ends it for all, also for those it took before
                answers = {address: error.recipients.get(address, last) for address in to}
            except smtplib.SMTPResponseException as error:
                if turn.late or not 400 <= error.smtp_code < 500:
                    raise
                answers = dict.fromkeys(to, (error.smtp_code, error.smtp_error))
        return {address: (code, f"{code} {self._said(said)}") for address, (code, said) in answers.items()}

    def _connected(self, turn: _Turn, wait: float) -> smtplib.SMTP:
        """Connect, protect the connection, log in."""
        client: smtplib.SMTP
        if self._context and self._mail.tls == "implicit":
            client = _Wrapped(turn, self._mail.smtp, self._port, wait, self._context)
        else:
            client = _Watched(turn, self._mail.smtp, self._port, wait)
        client.ehlo_or_helo_if_needed()
        if self._context and self._mail.tls == "starttls":
            if not client.has_extn("starttls"):
                raise DeliveryError(
                    f"{self.name} offers no STARTTLS, so nothing was sent",
                    "set deliver.mail.tls to implicit (port 465), or to none if its network is trusted",
                )
            client.starttls(context=self._context)
            client.ehlo()
        version = client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else ""
        self.described = f"{self.name} over {version}" if version else f"{self.name}, not encrypted"
        if self._mail.user and self._context:  # the configuration refuses a user without TLS; so does this
            client.login(self._mail.user, self._password)
        if client.sock:
            client.sock.settimeout(self._mail.timeout)  # a relay may scan what it is given; _Turn ends it
        return client

    def _checked(self, client: smtplib.SMTP, letter: Letter) -> None:
        """Refuse here what the relay has announced to refuse, before a megabyte travels."""
        most = client.esmtp_features.get("size", "").split()[:1]
        if most and most[0].isdigit() and 0 < int(most[0]) < len(letter.data):
            raise OversizeError(
                f"the mail has {len(letter.data):,} bytes, and {self.name} takes {int(most[0]):,}",
                "send the files of the bundle some other way",
                int(most[0]),
            )

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._mail.ca_file or None)
        except OSError as error:  # SSLError is one
            raise DeliveryError(
                f"the CA certificates in {self._mail.ca_file} cannot be read: {error.strerror or error}",
                "deliver.mail.ca_file should name a PEM file",
            ) from None

    def _said(self, said: bytes | str) -> str:
        """Return words of the relay, without the password in case it repeats what it was sent."""
        words = line(said)
        for secret in (self._password, *(_encoded(self._mail.user, self._password) if self._password else ())):
            words = words.replace(secret, "***") if secret else words
        return words

    @contextmanager
    def _explained(self, turn: _Turn) -> Iterator[None]:
        """Turn what smtplib, ssl and the socket raise into a sentence."""
        try:
            yield
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise self._error(error, turn) from None

    def _error(self, error: Exception, turn: _Turn) -> DeliveryError:
        if isinstance(error, smtplib.SMTPResponseException) and not turn.late:
            said = f"{error.smtp_code} {self._said(error.smtp_error)}"
            if isinstance(error, smtplib.SMTPAuthenticationError):
                hint = "check deliver.mail.user and deliver.mail.password"
                return DeliveryError(f"{self.name} does not accept user {self._mail.user!r}: {said}", hint)
            return DeliveryError(f"{self.name} refuses the mail: {said}", _MEANINGS.get(error.smtp_code, ""))
        sentence, hint = _reason(error, self.name)
        if turn.late:  # whatever it looked like when the connection was cut
            sentence = f"{self.name} was not done within {self._mail.timeout:g} s"
            hint = "nothing was sent; raise deliver.mail.timeout if the relay is slow"
        if turn.handing_over:
            hint = "whether it took the mail cannot be told: ask a recipient before you send it again"
        return DeliveryError(sentence, hint)


_MEANINGS: Mapping[int, str] = {
    530: "it wants a login: set deliver.mail.user and deliver.mail.password",
    550: "may this sender send through it? Set deliver.mail.user, or another deliver.mail.from",
    552: "it takes no message of this size",
    554: "its log says why",
}


#: Exceptions -> sentence, hint; the first row that fits. smtplib hides a time-out behind its own exception.
_TABLE: tuple[tuple[frozenset[str], str, str], ...] = (
    (
        frozenset({"SMTPNotSupportedError"}),
        "{relay} offers no login that opsbrief knows",
        "leave deliver.mail.user out if it needs none",
    ),
    (
        frozenset({"SSLCertVerificationError"}),
        "no trusted TLS connection to {relay}: {reason}",
        "set deliver.mail.ca_file, or check the host name",
    ),
    (
        frozenset({"SSLError", "SSLEOFError", "SSLZeroReturnError"}),
        "{relay} does not speak TLS as configured",
        "587 is usual for tls: starttls, 465 for tls: implicit",
    ),
    (
        frozenset({"gaierror", "UnicodeError", "UnicodeEncodeError"}),
        "the name of {relay} cannot be resolved",
        "check deliver.mail.smtp",
    ),
    (
        frozenset({"ConnectionRefusedError"}),
        "{relay} refuses the connection",
        "is the mail server running on this port?",
    ),
    (
        frozenset({"TimeoutError"}),
        "{relay} does not answer in time",
        "is the address right, is a firewall between?",
    ),
)


def _reason(error: Exception, relay: str) -> tuple[str, str]:
    """Return a sentence and a hint for a connection that failed."""
    names = {type(cause).__name__ for cause in (error, error.__context__) if cause}
    reason = line(str(getattr(error, "verify_message", "")))
    for known, sentence, hint in _TABLE:
        if names & known:
            return sentence.format(relay=relay, reason=reason), hint
    return f"the connection to {relay} broke ({type(error).__name__})", "is it a mail server, and is this its port?"


def _advice(refused: Sequence[Refusal]) -> str:
    if all(one.reason.startswith("4") for one in refused):
        return "it may take the mail later"
    return "check the addresses; some relays want a login (deliver.mail.user)"


def _encoded(user: str, password: str) -> tuple[str, ...]:
    """Return the forms in which a password travels at a login."""
    return tuple(
        base64.b64encode(form.encode()).decode() for form in (password, f"\0{user}\0{password}", f"{user}\0{password}")
    )


def _name() -> str:
    """Return how we call ourselves; asking DNS for a full name, as smtplib does, can take half a minute."""
    node = os.uname().nodename
    return node if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", node) else "[127.0.0.1]"
