"""Give a letter to a local ``sendmail -t -i``, as cron boxes have it: it queues and repeats by itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opsbrief.deliver.letter import Letter, Receipt
from opsbrief.errors import DeliveryError, SourceError
from opsbrief.settings import Mail
from opsbrief.text import line
from opsbrief.transport import process
from opsbrief.transport.deadline import Deadline

_MEANINGS = {  # sysexits.h
    64: "it does not know an option it was given",
    65: "it refuses the message",
    67: "it does not know a recipient",
    68: "it does not know the host of a recipient",
    69: "a service it needs is not there",
    75: "it could not take the message for now",
    77: "it is not allowed to",
    78: "its configuration is wrong",
    127: "the program is not there",
}


def send(mail: Mail, letter: Letter) -> Receipt:
    """Run the configured program with the message on its standard input, lines ending as on this system.

    It reads the recipients from the headers (-t). Raises DeliveryError when it ends with a failure.
    """
    program = mail.sendmail[0]
    try:
        with _watched(Deadline(mail.timeout)) as deadline:
            # It may leave a delivery running in the background, which must not be ended half-way.
            done = process.run(mail.sendmail, deadline, stdin=letter.data.replace(b"\r\n", b"\n"), spare=True)
    except SourceError as error:
        raise DeliveryError(f"{program} did not take the mail: {error.message}", error.hint) from None
    if done.status:
        why = _MEANINGS.get(done.status, "")
        said = line(done.stderr or done.stdout)
        raise DeliveryError(
            f"{program} did not take the mail: it ended with status {done.status}{f' ({why})' if why else ''}",
            f"it said: {said}" if said else "it said nothing; its log may say more",
        )
    return Receipt(letter=letter, relay=program, accepted=letter.recipients)


@contextmanager
def _watched(deadline: Deadline) -> Iterator[Deadline]:
    """End the program when the time is over, also while it says nothing."""
    clock = threading.Timer(deadline.seconds, deadline.expire)
    clock.daemon = True
    clock.start()
    try:
        yield deadline
    finally:
        clock.cancel()
