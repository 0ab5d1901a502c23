"""Files to a place on disk: whole or not at all."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from opsbrief.bundle.archive import pack
from opsbrief.bundle.swap import swap
from opsbrief.errors import BundleError
from opsbrief.model.artifact import Artifact

_SWEEP_AFTER = 3600.0  # seconds; younger leftovers may belong to a run that is still going


def write(
    parent: Path,
    folder: str,
    content: Sequence[Artifact],
    forbidden: Sequence[str] = (),
    *,
    renew: bool = False,
    form: str = "",
) -> Path:
    """Write ``content`` as ``parent/folder`` and return that path (with -2, -3, ... when it is taken).

    With ``renew``, one that opsbrief wrote there before is replaced. With a ``form`` ("tgz" or "zip") the
    bundle is one file of that kind. ``forbidden`` are the configured secrets: a file that holds one is
    never published. Raises BundleError when the place cannot be written; what was there before is untouched.
    """
    _gate(content, forbidden)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        with _building(parent) as draft:
            if form:
                _put(draft / "packed", pack(folder, content, form))
                return _publish(draft / "packed", parent, folder, f".{form}", move=_link)
            for artifact in content:
                _put(draft / artifact.name, artifact.data)
            _sync(draft)
            return _renew(draft, parent / folder) if renew else _publish(draft, parent, folder)
    except OSError as error:
        raise BundleError(
            f"the bundle cannot be written in {parent}: {error.strerror or error}",
            "nothing was changed there; choose another folder with -o",
        ) from error


def extract(folder: Path, content: Iterable[Artifact]) -> Iterator[Path]:
    """Write single files into ``folder``, each whole or not at all; yield where each one is."""
    for artifact in content:
        path = folder / artifact.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            _put(draft, artifact.data)
            draft.replace(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
        yield path


def _gate(content: Iterable[Artifact], forbidden: Sequence[str]) -> None:
    needles = [secret.encode() for secret in forbidden if len(secret) >= 4]
    for artifact in content:
        if any(needle in artifact.data for needle in needles):
            raise BundleError(
                f"{artifact.name} would hold a configured secret; nothing was written",
                "this is a defect of the redaction: please report it",
            )


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
        file.write(data)
        file.flush()
        os.fsync(handle)
    os.chmod(path, 0o600)  # noqa: PTH101 - whatever the umask took away or left


@contextmanager
def _building(parent: Path) -> Iterator[Path]:
    """Yield a private folder beside the place; it is gone afterwards unless it was renamed."""
    draft = Path(tempfile.mkdtemp(prefix=f".opsbrief-{os.getpid()}-", dir=parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(
    draft: Path, parent: Path, folder: str, suffix: str = "", *, move: Callable[[Path, Path], object] = Path.rename
) -> Path:
    for count in range(1, 1000):
        target = parent / f"{folder}{f'-{count}' if count > 1 else ''}{suffix}"
        # An empty folder would be replaced by rename; a bundle is never empty, so that is harmless.
        with suppress(OSError):
            move(draft, target)
            _sync(parent)
            return target
        if not os.path.lexists(target):
            move(draft, target)  # not taken, so it failed for another reason: let it say so
    raise BundleError(f"{parent / folder} is taken a thousand times over")


def _link(draft: Path, target: Path) -> None:
    """Give a file its name unless that is taken; a rename would replace what is there."""
    target.hardlink_to(draft)


def _renew(draft: Path, target: Path) -> Path:
    """Put ``draft`` in the place of ``target``; whoever looks sees the old folder or the new one, never none.

    The caller removes what is left where the draft was.
    """
    if not os.path.lexists(target):
        draft.rename(target)
    elif not target.is_symlink() and (target / "manifest.json").is_file():
        swap(draft, target)
    else:
        raise BundleError(f"{target} is there and was not written by opsbrief", "move it away, or name another folder")
    _sync(target.parent)
    return target


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(parent: Path) -> None:
    """Remove what killed runs left behind: our prefix, an hour old, and its process gone."""
    for leftover in parent.glob(".opsbrief-*-*"):
        with suppress(OSError, ValueError):
            pid = int(leftover.name.split("-")[1])
            if time.time() - leftover.lstat().st_mtime > _SWEEP_AFTER and not _alive(pid):
                shutil.rmtree(leftover)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
