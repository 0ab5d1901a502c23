"""Exchange two folders in one step, as Linux and macOS can and Python's library does not.

A folder that is not empty cannot be renamed onto another. Moving the old one away first would leave
a moment without any, and a run that is killed then leaves that moment for ever.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths are relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2), and RENAME_SWAP of renamex_np(2)
_LACKING = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # this file system or system cannot


def swap(one: Path, other: Path) -> None:
    """Exchange two folders of one file system. Raises OSError.

    Where the file system cannot (NFS, some overlays), ``other`` is moved aside and ``one`` takes its
    place: two steps, with a moment between them in which neither is there.
    """
    try:
        _exchange(one, other)
    except OSError as error:
        if error.errno not in _LACKING:
            raise
        aside = one.with_name(f"{one.name}.old")
        other.rename(aside)
        try:
            one.rename(other)
        except OSError:
            aside.rename(other)
            raise
        aside.rename(one)


def _exchange(one: Path, other: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(first, second, _EXCHANGE)
        else:
            failed = library.renameat2(_HERE, first, _HERE, second, _EXCHANGE)
    except AttributeError:  # an older C library
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(other)) from None
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
