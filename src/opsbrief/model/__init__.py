"""Frozen values in the field's words: no I/O, no formatting."""
