"""The bundle: a folder with the evidence and every form of the brief, whole or not at all.

It is written beside its place, synced, and renamed; whoever is killed in between leaves a
``.opsbrief-*`` folder that the next run sweeps away, never half a bundle. Folders are 0700 and
files 0600 whatever the umask, and no file name comes from data. It may travel as one .tgz or .zip,
which is read member by member and never extracted.

    brief.html brief.md brief.txt graphs/*.png     the brief
    findings.json                                  verdicts and numbers
    evidence/evidence.json                         window, scope, sources, gaps
    evidence/series.npy + series.jsonl             all points in one array; one line a series
    evidence/logs.jsonl                            a sample, then its records, one line each
    evidence/items.jsonl                           changes, releases, events, readings
    manifest.json                                  what is in here, with sizes and digests
"""

from opsbrief.bundle.archive import PACKS, pack
from opsbrief.bundle.content import FORMAT, files, name
from opsbrief.bundle.reading import Listed, Manifest, evidence, manifest, opened, read
from opsbrief.bundle.store import Store
from opsbrief.bundle.writing import extract, write

__all__ = [
    "FORMAT",
    "PACKS",
    "Listed",
    "Manifest",
    "Store",
    "evidence",
    "extract",
    "files",
    "manifest",
    "name",
    "opened",
    "pack",
    "read",
    "write",
]
