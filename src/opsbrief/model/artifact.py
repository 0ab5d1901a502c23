"""Finished products: files of a brief and what became of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Artifact:
    """One rendered file; ``name`` is relative to the bundle and never comes from data."""

    name: str
    media_type: str
    data: bytes
