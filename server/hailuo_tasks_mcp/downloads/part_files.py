"""A file while it is being downloaded, under a name that ends in `.part`, until it is renamed.

All of this blocks. Nothing here follows a symbolic link, and nothing that is there is overwritten
but the `.part` file itself; that is looked at right before the file is renamed.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from hailuo_tasks_mcp.downloads.names import PART_SUFFIX
from hailuo_tasks_mcp.downloads.signatures import HEAD_BYTES, KINDS, Kind, is_whole, kind_of
from hailuo_tasks_mcp.errors import (
    DiskFullError,
    DownloadInterruptedError,
    FolderError,
    NotAVideoError,
)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Write = Callable[[int, bytes], int]
"""Writes some of the data to a descriptor, as `os.write`."""

# Some of these are not on every platform. Not blocking, because a pipe would.
_FLAGS = 0
for _name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT", "O_NONBLOCK"):
    _FLAGS |= getattr(os, _name, 0)
_MODE = 0o666
# A byte far behind all content, because a lock of Windows keeps others from reading what it covers.
_LOCKED_BYTE = 1 << 40
# How often a file may have been renamed by another process between opening and locking it.
_MAX_OPENINGS = 5

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the disk takes no file as large as this",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.ELOOP: "it is a symbolic link, which is not followed",
}


class SavedFile(NamedTuple):
    """A video in its folder.

    Attributes:
        path: where it is.
        bytes: how many it has.

    """

    path: Path
    bytes: int


def folder_error(path: Path, error: OSError) -> FolderError:
    """Return why something cannot be done with a path, in words."""
    number = error.errno or 0
    words = _WORDS.get(number) or (os.strerror(number) if number else str(error))
    kind = DiskFullError if number in {errno.ENOSPC, errno.EDQUOT} else FolderError
    return kind(f"{path}: {words}")


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, unless it is there.

    Raises:
        FolderError: it cannot be made.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_error(folder, error) from error


def find_saved(folder: Path, stem: str) -> SavedFile | None:
    """Return the video that is there under a name, whatever its kind; None if there is none.

    Raises:
        FolderError: something else is there.

    """
    for kind in KINDS:
        path = folder / f"{stem}.{kind}"
        try:
            size = _whole_size(path, kind)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise folder_error(path, error) from error
        if size is None:
            raise FolderError(
                f"{path}: what is there is no whole video, and nothing is overwritten"
            )
        return SavedFile(path, size)
    return None


def _whole_size(path: Path, kind: Kind) -> int | None:
    """Return the size of a file that is a whole video of a kind; None if it is none."""
    descriptor = _open(path, os.O_RDONLY)
    known = os.fstat(descriptor)
    if not stat.S_ISREG(known.st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        whole = kind_of(file.read(HEAD_BYTES)) == kind and is_whole(file, kind, known.st_size)
    return known.st_size if whole else None


class PartFile:
    """A `.part` file that no other process can have at the same time.

    Args:
        folder: where it is.
        stem: its name without an ending.
        write: writes to a descriptor.

    Attributes:
        size: how many bytes it has.

    Raises:
        DownloadInterruptedError: another process, or another call, has it.
        FolderError: it cannot be opened for writing.

    """

    def __init__(self, folder: Path, stem: str, write: Write = os.write) -> None:
        self._folder, self._stem, self._write = folder, stem, write
        self._path = folder / f"{stem}{PART_SUFFIX}"
        try:
            self._descriptor = self._open_and_lock()
            self.size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise folder_error(self._path, error) from error

    def read(self, start: int, end: int) -> bytes:
        """Return what it holds from one place to another, or to its end."""
        with self._errors_told():
            os.lseek(self._descriptor, start, os.SEEK_SET)
            data = b""
            while part := os.read(self._descriptor, end - start - len(data)):
                data += part
            return data

    def append(self, data: bytes) -> None:
        """Write data to its end.

        Raises:
            FolderError: not all of it could be written.

        """
        with self._errors_told():
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            left = memoryview(data)
            while left:
                written = self._write(self._descriptor, bytes(left))
                self.size += written
                left = left[written:]

    def empty(self) -> None:
        """Take out all that it holds."""
        with self._errors_told():
            os.ftruncate(self._descriptor, 0)
            self.size = 0

    def kind(self) -> Kind | None:
        """Return what it is by its first bytes."""
        return kind_of(self.read(0, HEAD_BYTES))

    def finish(self) -> SavedFile:
        """Give it its final name, once it is on the disk, and close it.

        Raises:
            NotAVideoError: it is no whole video.
            FolderError: it cannot be done.

        """
        kind = self.kind()
        with self._errors_told(), os.fdopen(os.dup(self._descriptor), "rb") as file:
            if kind is None or not is_whole(file, kind, self.size):
                raise NotAVideoError(f"Only a part of a video came, of {self.size} bytes")
        path, size = self._folder / f"{self._stem}.{kind}", self.size
        with self._errors_told():
            try:
                os.fsync(self._descriptor)
            except OSError:
                # What the disk has lost of it is not known, and a second fsync would not tell.
                self.size = 0
                with suppress(OSError):
                    self.empty()
                raise
            if not _is_at(self._descriptor, self._path):
                raise FolderError(f"{self._path}: something else took its place")
            if os.path.lexists(path):
                raise FolderError(f"{path}: it came meanwhile, and nothing is overwritten")
            if sys.platform == "win32":
                # There nothing that is open can be renamed; what is there is not replaced.
                self._close()
            self._path.rename(path)
            _flush_folder(self._folder)
        self._close()
        return SavedFile(path, size)

    def close(self, *, keep: bool) -> None:
        """Close it, and leave it in the folder or not; nothing if it is closed already."""
        if self._descriptor < 0:
            return
        if sys.platform == "win32":
            # There nothing that is open can be removed.
            self._close()
            if not keep:
                with suppress(OSError):
                    self._path.unlink()
            return
        with suppress(OSError):
            # While it is locked, so that it is not another one by then.
            if not keep and _is_at(self._descriptor, self._path):
                self._path.unlink()
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _errors_told(self) -> "_ErrorsTold":
        return _ErrorsTold(self._path)

    def _open_and_lock(self) -> int:
        for _ in range(_MAX_OPENINGS):
            descriptor = _open(self._path, os.O_RDWR | os.O_CREAT)
            try:
                self._check_own(descriptor)
                _lock(descriptor)
                if _is_at(descriptor, self._path):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                break
            except BaseException:
                os.close(descriptor)
                raise
            # It was renamed meanwhile, by a process that has finished it.
            os.close(descriptor)
        raise DownloadInterruptedError("Another process is saving the same video there")

    def _check_own(self, descriptor: int) -> None:
        known = os.fstat(descriptor)
        if not stat.S_ISREG(known.st_mode) or known.st_nlink > 1:
            # By its other name something else would be overwritten.
            raise FolderError(f"{self._path}: it is no file of this folder alone")


class _ErrorsTold:
    """Turns errors of the system into errors of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise folder_error(self._path, error) from error


def _open(path: Path, flags: int) -> int:
    """Open a file, and no symbolic link to one."""
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    descriptor = os.open(path, flags | _FLAGS, _MODE)
    if not hasattr(os, "O_NOFOLLOW") and not _is_at(descriptor, path):
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether what is open is what a path names, without following a symbolic link."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> None:
    """Lock what is open for this descriptor alone, until that is closed.

    Raises:
        BlockingIOError: it is locked.

    """
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            # Some network file systems have no locks; two processes at once are rare there.
            if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}:
                raise


def _flush_folder(folder: Path) -> None:
    """Have the disk keep a new name in a folder, where the system can do that."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
