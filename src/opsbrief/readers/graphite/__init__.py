"""Graphite's own words, without any network or disk of ours: targets, globs, answers, whisper files."""
