"""What the tests in a browser need: `make test-view` says it, and tests are skipped with it.

A script of its own too, which needs no package, so that it can be run before anything is installed.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HOST_SCRIPT = ROOT / ".view" / "host.js"
"""The host page's script, with the reference code of hosts in it."""

# As the packages of distributions name it.
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of the browser, if there is one."""
    return next(filter(None, map(shutil.which, _CHROMIUM)), None)


def missing_packages() -> list[str]:
    """Return what Debian's packages of the programs are called that are missing."""
    return [
        *([] if chromium() else ["chromium"]),
        *([] if shutil.which("node") else ["nodejs"]),
        *([] if shutil.which("npm") else ["npm"]),
    ]


def missing_programs() -> str | None:
    """Return which programs are missing and how to get them on Debian, if any are."""
    packages = " ".join(missing_packages())
    return f"needs Chromium and Node.js: apt-get install {packages}" if packages else None


def missing() -> str | None:
    """Return why the view cannot be shown in a browser, if it cannot."""
    installed = importlib.util.find_spec("playwright") and HOST_SCRIPT.exists()
    return missing_programs() or (None if installed else "needs what `make test-view` installs")


if __name__ == "__main__":
    if reason := missing_programs():
        sys.exit(f"The view in a browser {reason}")
