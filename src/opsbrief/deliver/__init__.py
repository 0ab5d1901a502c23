"""Hand a finished brief over: as a mail, through a relay or a local sendmail.

``send`` builds the letter and gives it away; ``message.build`` alone makes the same bytes without
sending them. The bundle is on disk before any of this starts, so nothing is lost when it fails.
"""

from collections.abc import Callable, Sequence

from opsbrief.deliver import message
from opsbrief.deliver.letter import Identity, Letter, OversizeError, Receipt
from opsbrief.errors import DeliveryError, SourceError
from opsbrief.model.brief import Brief
from opsbrief.settings import Mail

__all__ = ["Identity", "Letter", "Receipt", "send"]


def send(
    brief: Brief,
    mail: Mail,
    to: Sequence[str] = (),
    *,
    reply_to: Brief | None = None,
    auto: bool = False,
    forbidden: Sequence[str] = (),
    tell: Callable[[str], None] | None = None,
) -> Receipt:
    """Send ``brief`` to ``to``, or to the configured recipients, and say who took it.

    A relay that takes only smaller messages gets a smaller one. ``tell`` hears what is waited for.
    Raises DeliveryError when nobody took it, ConfigError when an address is none.
    """
    try:
        password = mail.password.reveal() if mail.password else ""
    except SourceError as error:
        raise DeliveryError(f"there is no password for {mail.smtp}: {error.message}", error.hint) from None

    def build(limit: int) -> Letter:
        return message.build(
            brief,
            sender=mail.sender,
            to=tuple(to) or mail.to,
            reply_to=reply_to,
            auto=auto,
            limit=limit,
            forbidden=(*forbidden, password),
        )

    try:
        return _hand(mail, build(message.LIMIT), tell)
    except OversizeError as error:
        return _hand(mail, build(error.limit), tell)


def _hand(mail: Mail, letter: Letter, tell: Callable[[str], None] | None) -> Receipt:
    if mail.sendmail:
        from opsbrief.deliver import sendmail  # noqa: PLC0415 - one of the two is wanted

        return sendmail.send(mail, letter)
    from opsbrief.deliver import smtp  # noqa: PLC0415 - same

    return smtp.send(mail, letter, tell=tell)
