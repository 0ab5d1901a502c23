"""Where the files of a bundle are read from: a folder, or a .tgz or .zip that is never extracted.

A bundle may come from anybody. So there are caps on size, number and ratio, and a member that could
not be written by opsbrief (a link, a device, a way out of the folder, the same name twice) refuses
the whole.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from opsbrief.errors import BundleError
from opsbrief.text import line

CAP = 1 << 30  # bytes of all files together
ENTRIES = 2000  # files and folders; a large bundle has a hundred
_FREE = 64 << 20  # bytes that need no look at the ratio
_RATIO = 300  # unpacked to packed; even flat series stay below it together with the rest
_INDEX = 1 << 20  # bytes of a zip's list of members
_END = 22  # bytes of the record that ends a zip, without its comment


class Store(ABC):
    """The files of one bundle, by their names inside it."""

    def __init__(self, where: Path) -> None:
        """``where`` is for messages."""
        self.where = where

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the name of every file, sorted."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Return the content of one file. Raises FileNotFoundError, OSError or BundleError."""


class Folder(Store):
    """A bundle that is a folder."""

    def names(self) -> tuple[str, ...]:
        """Return the name of every file; links are refused, for they lead elsewhere."""
        found: list[str] = []
        for here, folders, files in os.walk(self.where):
            for each in (*folders, *files):
                path = Path(here, each)
                if path.is_symlink():
                    raise _refused(self.where, f"{line(each, 100)} is a link")
                if each in files:
                    found.append(path.relative_to(self.where).as_posix())
            _count(self.where, len(found) + len(folders))
        return tuple(sorted(found))

    def get(self, name: str) -> bytes:
        """Return the content of one file."""
        handle = os.open(self.where / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:  # noqa: PTH123 - a handle, not a path
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise _refused(self.where, f"{name} is no file")
            if status.st_size > CAP:
                raise BundleError(f"{name} is larger than {CAP >> 20} MiB; not read")
            return file.read(CAP)


class Packed(Store):
    """A bundle in one file, its members in memory."""

    def __init__(self, where: Path, members: dict[str, bytes]) -> None:
        """Take the members by name; a folder around all of them is taken off."""
        super().__init__(where)
        top = {name.partition("/")[0] for name in members}
        root = f"{top.pop()}/" if len(top) == 1 and "manifest.json" not in members else ""
        self._members = {name.removeprefix(root): data for name, data in members.items()}

    def names(self) -> tuple[str, ...]:
        """Return the name of every file."""
        return tuple(sorted(self._members))

    def get(self, name: str) -> bytes:
        """Return the content of one file."""
        try:
            return self._members[name]
        except KeyError:
            raise FileNotFoundError(2, "not in the archive", name) from None


def store(path: Path) -> Store:
    """Return the store of a folder or an archive. Raises BundleError when it is neither or not to be trusted."""
    try:
        if path.is_dir():
            return Folder(path)
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == b"\x1f\x8b":
                return Packed(path, _tar(path, file))
            if magic in (b"PK\x03\x04", b"PK\x05\x06"):
                return Packed(path, _zip(path, file))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, NotImplementedError) as error:
        raise BundleError(f"{path} is broken: {line(str(error), 200) or 'it ends too early'}", _AGAIN) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    raise BundleError(f"{path} is no bundle: neither a folder nor a .tgz or .zip", _GIVE)


_AGAIN = "was it copied whole? 'opsbrief verify' tells what a bundle holds"
_GIVE = "give the folder that 'opsbrief collect' printed, or such a folder packed"


class _Bounded(io.RawIOBase):
    """A decompressor that stops at the cap: what the headers of an archive claim is not believed."""

    def __init__(self, where: Path, inner: BinaryIO, packed: int) -> None:
        self._where, self._inner, self._packed, self._seen = where, inner, packed, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        self._seen += len(data)
        _size(self._where, self._seen, self._packed)
        return data


def _tar(where: Path, file: BinaryIO) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    packed = os.fstat(file.fileno()).st_size
    count = total = 0
    with gzip.GzipFile(fileobj=file) as unpacked:
        bounded = cast("BinaryIO", _Bounded(where, cast("BinaryIO", unpacked), packed))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for member in archive:
                count += 1
                _count(where, count)
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise _refused(where, f"{line(member.name, 100)} is a link or no plain file")
                name = _name(where, member.name, members)
                total += member.size
                _size(where, total, packed)
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if len(data) != member.size:
                    raise tarfile.ReadError("it ends too early")
                members[name] = data
        while bounded.read(1 << 20):  # the checksum of gzip stands at its end
            pass
    return members


def _zip(where: Path, file: BinaryIO) -> dict[str, bytes]:
    packed = os.fstat(file.fileno()).st_size
    _index(where, file, packed)
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _count(where, len(entries))
        _size(where, sum(entry.file_size for entry in entries), packed)
        for entry in entries:
            if entry.is_dir():
                continue
            mode = entry.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _refused(where, f"{line(entry.filename, 100)} is a link or no plain file")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(where, f"{line(entry.filename, 100)} is encrypted, or packed in a way opsbrief does not")
            name = _name(where, entry.filename, members)
            with archive.open(entry) as content:
                members[name] = content.read()  # no more than its declared size, which is counted above
            if len(members[name]) != entry.file_size:
                raise zipfile.BadZipFile("it ends too early")
    return members


def _index(where: Path, file: BinaryIO, packed: int) -> None:
    """Refuse a zip with a list of members so long that reading the list is the attack."""
    back = min(packed, _END + 0xFFFF)
    file.seek(packed - back)
    tail = file.read(back)
    file.seek(0)
    whole = tail[-_END:]
    at = len(tail) - _END if whole[:4] == b"PK\x05\x06" and whole[-2:] == b"\0\0" else tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END > len(tail):
        raise zipfile.BadZipFile("it ends too early")
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    if size > _INDEX or tail[max(0, at - 20) : at][:4] == b"PK\x06\x07":
        raise _refused(where, f"it lists more than {ENTRIES:,} files")


def _name(where: Path, name: str, taken: Iterable[str]) -> str:
    """Return the name of a member as it counts. Raises BundleError for one that opsbrief never writes."""
    parts = name.removeprefix("./").split("/")
    odd = any(part in {"", ".", ".."} for part in parts) or "\\" in name or ":" in name or not name.isprintable()
    if odd or len(name) > 200 or len(parts) > 6:
        raise _refused(where, f"{line(ascii(name), 100)} leads out of its folder or is no name that a bundle has")
    plain = "/".join(parts)
    if plain in taken:
        raise _refused(where, f"{line(plain, 100)} is in it twice")
    return plain


def _count(where: Path, count: int) -> None:
    if count > ENTRIES:
        raise _refused(where, f"it holds more than {ENTRIES:,} files")


def _size(where: Path, size: int, packed: int) -> None:
    if size > CAP:
        raise _refused(where, f"unpacked it is larger than {CAP >> 20:,} MiB")
    if size > _FREE and size > _RATIO * packed:
        raise _refused(where, f"{packed:,} bytes would become more than {size:,}")


def _refused(where: Path, why: str) -> BundleError:
    return BundleError(f"{where} is not read: {why}", "opsbrief did not write this; do not trust it")
