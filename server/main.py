"""Entry point of the bundle: installs what it depends on, once and verified, and runs the command.

`uv run` would resolve the dependencies of pyproject.toml anew and verify no hash of ours: of a
requirements file it ignores the hashes, and a lock file of its own must hold download addresses.
`uv pip install --require-hashes` verifies them, in every version of uv.
"""

import os
import signal
import site
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

_BUNDLE = Path(__file__).resolve().parent.parent
_REQUIREMENTS = _BUNDLE / "bundle-requirements.txt"
_PACKAGES = _BUNDLE / ".packages"
# Longer than an installation takes.
_OLD_SECONDS = 3600


def installed_packages() -> Path:
    """Return the folder of the dependencies, for this Python; install them if they are not there.

    Raises:
        OSError: uv cannot be run, or the folder cannot be written.
        subprocess.CalledProcessError: uv refused, and has said why on stderr.

    """
    key = sha256(_REQUIREMENTS.read_bytes() + sys.version.encode() + sys.executable.encode())
    folder = _PACKAGES / key.hexdigest()[:16]
    if not folder.exists():
        _PACKAGES.mkdir(exist_ok=True)
        # Even if this installation is killed too, or fails.
        _remove_old("tmp*")
        # Under another name until it is complete: an installation can be broken off, and a host
        # can start two servers at once.
        with _signals_raise_exit(), _temporary_folder() as temporary:
            fresh = Path(temporary, "packages")
            _install(fresh)
            try:
                fresh.rename(folder)
            except OSError:
                # If it is there, the other server was faster.
                if not folder.exists():
                    raise
        # Of other requirements and other Pythons.
        _remove_old("*")
    return folder


def _temporary_folder() -> TemporaryDirectory[str]:
    # What cannot be removed now is removed when it is old.
    return TemporaryDirectory(prefix="tmp", dir=_PACKAGES, ignore_cleanup_errors=True)


def _remove_old(pattern: str) -> None:
    with suppress(OSError), _temporary_folder() as removed:
        for path in _PACKAGES.glob(pattern):
            # In use, or removed by another server.
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                    # Moved first: a folder that is half removed must not count as complete.
                    path.rename(Path(removed, path.name))


@contextmanager
def _signals_raise_exit() -> Iterator[None]:
    """Make SIGTERM and Ctrl-C raise SystemExit: subprocess.run kills uv, and its folder goes."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end(number: int, _frame: object) -> None:
        for each in numbers:
            # A second one must not break off the removal.
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    handlers = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _install(folder: Path) -> None:
    # `uv run` tells where uv is.
    command = [os.environ.get("UV") or "uv", "pip", "install", "--quiet", "--require-hashes"]
    # Nothing is built: what builds would come without hashes.
    command += ["--no-build", "--python", sys.executable, "--target", str(folder)]
    command += ["--requirements", str(_REQUIREMENTS)]
    # stdin and stdout belong to the protocol.
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603


def main() -> int:
    """Run the command with the dependencies of the bundle; return its exit code."""
    try:
        packages = str(installed_packages())
    except (OSError, subprocess.CalledProcessError) as error:
        # On stderr, with exit code 1.
        reason = f"its dependencies could not be installed ({error})"
        raise SystemExit(f"hailuo-tasks-mcp: {reason}") from None
    # Before those of an environment that a host may have made of pyproject.toml.
    sys.path.insert(1, packages)
    # For .pth files, which pywin32 has.
    site.addsitedir(packages)
    from hailuo_tasks_mcp.cli.main import main as run_command  # noqa: PLC0415

    return run_command()


if __name__ == "__main__":
    raise SystemExit(main())
