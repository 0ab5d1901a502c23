"""A value that is never printed."""

import threading
from collections.abc import Callable


class Secret:
    """Holds a password or token, or knows how to get it; only ``reveal`` gives it away.

    A secret by reference ({env: NAME}, {command: [..]}) is fetched the first time it is revealed,
    and once. Fetching may raise SourceError, which says what is missing.
    """

    __slots__ = ("_fetch", "_lock", "_value", "reference")

    def __init__(self, value: str | Callable[[], str], reference: str = "") -> None:
        """Keep the value, or the function that fetches it with the words of the configuration for it."""
        self._value = None if callable(value) else value
        self._fetch = value if callable(value) else None
        self._lock = threading.Lock()
        self.reference = reference

    def reveal(self) -> str:
        """Return the value itself, for the moment it is sent."""
        with self._lock:
            if self._value is None and self._fetch:
                self._value = self._fetch()
            return self._value or ""

    @property
    def known(self) -> str:
        """Return the value if it was revealed before, else nothing; fetches nothing."""
        return self._value or ""

    def __repr__(self) -> str:
        """Return a placeholder."""
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare by reference where there is one, else by value; fetches nothing."""
        return isinstance(other, Secret) and other._key() == self._key()

    def __hash__(self) -> int:
        """Hash by the same."""
        return hash(self._key())

    def _key(self) -> tuple[str, str]:
        return (self.reference, "") if self.reference else ("", self._value or "")
