"""A value that is never printed."""


class Secret:
    """Holds a password or token; only ``reveal`` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep the value."""
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the moment it is sent."""
        return self._value

    def __repr__(self) -> str:
        """Return a placeholder."""
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare by value."""
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        """Hash by value."""
        return hash(self._value)
