"""A bundle as one file: the same content gives the same bytes, whenever and by whomever it is packed."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence

from opsbrief.model.artifact import Artifact

_THEN = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say; when it was packed is in the manifest
_MODE = 0o600


def pack(folder: str, content: Iterable[Artifact], form: str) -> bytes:
    """Return the files of a bundle packed as ``form`` (see PACKS), in one folder of that name."""
    return PACKS[form](folder, sorted(content, key=lambda artifact: artifact.name))


def _tgz(folder: str, content: Sequence[Artifact]) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for artifact in content:
            entry = tarfile.TarInfo(f"{folder}/{artifact.name}")
            entry.size, entry.mode = len(artifact.data), _MODE
            archive.addfile(entry, io.BytesIO(artifact.data))
    return out.getvalue()


def _zip(folder: str, content: Sequence[Artifact]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for artifact in content:
            entry = zipfile.ZipInfo(f"{folder}/{artifact.name}", _THEN)
            entry.external_attr = (0o100000 | _MODE) << 16
            entry.create_system = 3  # Unix, wherever it is packed
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, artifact.data)
    return out.getvalue()


PACKS: dict[str, Callable[[str, Sequence[Artifact]], bytes]] = {"tgz": _tgz, "zip": _zip}
