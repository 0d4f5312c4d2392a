"""Entry point of the bundle: installs what it depends on, once and verified, and runs the command.

`uv run` would resolve the dependencies of pyproject.toml anew and verify no hash of ours: of a
requirements file it ignores the hashes, and a lock file of its own must hold download addresses.
`uv pip install --require-hashes` verifies them, in every version of uv.
"""

import os
import site
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

_BUNDLE = Path(__file__).resolve().parent.parent
_REQUIREMENTS = _BUNDLE / "bundle-requirements.txt"


def installed_packages() -> Path:
    """Return the folder of the dependencies, for this Python; install them if they are not there.

    Raises:
        OSError: uv cannot be run, or the folder cannot be written.
        subprocess.CalledProcessError: uv refused, and has said why on stderr.

    """
    key = sha256(_REQUIREMENTS.read_bytes() + sys.version.encode() + sys.executable.encode())
    folder = _BUNDLE / ".packages" / key.hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        # Under another name until it is complete: an installation can be broken off, and a host
        # can start two servers at once.
        with TemporaryDirectory(dir=folder.parent) as temporary:
            fresh = Path(temporary, "packages")
            _install(fresh)
            with suppress(OSError):  # The other server was faster.
                fresh.rename(folder)
    return folder


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
