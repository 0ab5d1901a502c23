"""Anything that gives JSON or lines becomes evidence by what the YAML declares of it."""
