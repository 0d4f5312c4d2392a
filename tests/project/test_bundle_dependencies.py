"""What the bundle depends on: pinned with hashes, and installed only if they are right."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hailuo_tasks_mcp import __version__
from repository import ROOT, project

REQUIREMENTS = "bundle-requirements.txt"
# What markers ask for, on each platform and Python that the manifest names.
ENVIRONMENTS = [
    {"sys_platform": platform, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}"}
    for platform in ("linux", "darwin", "win32")
    for minor in range(11, 15)
]
NO_INDEX = ("client error (Connect)", "dns error", "Could not connect")
TIMEOUT_SECONDS = 180
ENDING_SECONDS = 20


def pinned() -> dict[str, tuple[Requirement, list[str]]]:
    """Return the pinned requirements and their hashes, by name."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / REQUIREMENTS).read_text()).replace("\\\n", "")
    pins: dict[str, tuple[Requirement, list[str]]] = {}
    for line in text.splitlines():
        words, *hashes = re.split(r"\s+--hash=", line)
        requirement = Requirement(words)
        pins[canonicalize_name(requirement.name)] = (requirement, hashes)
    return pins


PINNED = pinned()


def required() -> Iterator[tuple[Requirement, dict[str, str]]]:
    """Yield what the project requires, and what that requires, with where it does.

    Only of the versions that are pinned is it known here what they require.
    """
    waiting = [
        (Requirement(line), here) for line in project()["dependencies"] for here in ENVIRONMENTS
    ]
    seen = set()
    while waiting:
        requirement, here = waiting.pop()
        key = (str(requirement), *here.values())
        if key in seen:
            continue
        seen.add(key)
        yield requirement, here
        name = canonicalize_name(requirement.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            # Of another platform.
            continue
        if name in PINNED and PINNED[name][0].specifier.contains(found.version):
            for line in found.requires or ():
                further = Requirement(line)
                extras = {"", *requirement.extras}
                if not further.marker or any(
                    further.marker.evaluate(here | {"extra": extra}) for extra in extras
                ):
                    waiting.append((further, here))


def test_each_dependency_is_pinned_within_its_bounds_on_every_platform() -> None:
    """To correct it: make pin."""
    walked = set()
    for requirement, here in required():
        name = canonicalize_name(requirement.name)
        assert name in PINNED, f"{requirement} of {here} is not pinned"
        pin, _ = PINNED[name]
        (version,) = pin.specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version, prereleases=True), requirement
        assert pin.marker is None or pin.marker.evaluate(dict(here)), f"{pin} on {here}"
        walked.add(name)

    assert walked >= {"mcp", "httpx", "pydantic", "pydantic-core"}


def test_each_pin_has_hashes_and_no_address() -> None:
    text = (ROOT / REQUIREMENTS).read_text()

    for pin, hashes in PINNED.values():
        assert Version(next(iter(pin.specifier)).version)
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), pin
        assert pin.url is None
    assert not re.search(r"://|www\.|@|--(?!hash=)", text)
    assert not re.search(r"\b[a-z0-9-]+\.(org|com|net|io|dev)\b", text)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a folder with the files of the bundle that it starts from."""
    folder = tmp_path / "bundle"
    shutil.copytree(ROOT / "server", folder / "server")
    for name in ("manifest.json", "pyproject.toml", REQUIREMENTS):
        shutil.copy(ROOT / name, folder)
    return folder


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the command is ours
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environ,
    )


@pytest.fixture
def stand_in_uv(tmp_path: Path) -> Path:
    """Return a program in place of uv, which writes down how it is called and installs nothing."""
    program = tmp_path / "uv"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"with pathlib.Path({str(tmp_path / 'calls')!r}).open('a') as calls:\n"
        "    print(*sys.argv[1:], file=calls)\n"
        "print('on its stdout')\n"
        "pathlib.Path(sys.argv[sys.argv.index('--target') + 1]).mkdir()\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.real_time
def test_the_bundle_installs_by_hashes_once_and_then_runs_the_command(
    bundle: Path, stand_in_uv: Path
) -> None:
    command = (sys.executable, str(bundle / "server" / "main.py"), "--version")

    results = [run(*command, UV=str(stand_in_uv)) for _ in range(2)]

    assert [result.stdout for result in results] == [f"hailuo-tasks-mcp {__version__}\n"] * 2
    (call,) = stand_in_uv.with_name("calls").read_text().splitlines()
    assert call.startswith("pip install --quiet --require-hashes --no-build ")
    assert call.endswith(f" --requirements {bundle / REQUIREMENTS}")


@pytest.mark.real_time
@pytest.mark.parametrize("program", ["false", "no-such-program", "true"])
def test_a_bundle_whose_installation_fails_says_so_and_runs_nothing(
    bundle: Path, program: str
) -> None:
    result = run(sys.executable, str(bundle / "server" / "main.py"), "--version", UV=program)

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("hailuo-tasks-mcp: its dependencies could not be installed (")
    assert result.stderr.count("\n") == 1
    assert list((bundle / ".packages").iterdir()) == []


@pytest.mark.real_time
def test_two_servers_that_install_at_once_both_start(bundle: Path, stand_in_uv: Path) -> None:
    command = (sys.executable, str(bundle / "server" / "main.py"), "--version")
    run(*command, UV=str(stand_in_uv))
    (installed,) = (bundle / ".packages").iterdir()
    (installed / "of_the_other_server.py").touch()
    others = installed.rename(bundle / "others")
    with stand_in_uv.open("a") as program:
        program.write(f"pathlib.Path({str(others)!r}).rename({str(installed)!r})\n")

    result = run(*command, UV=str(stand_in_uv))

    assert (result.returncode, result.stdout) == (0, f"hailuo-tasks-mcp {__version__}\n")
    assert list((bundle / ".packages").rglob("*.py")) == [installed / "of_the_other_server.py"]


@pytest.mark.real_time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_bundle_that_is_ended_while_it_installs_ends_uv_and_leaves_nothing(
    bundle: Path, stand_in_uv: Path, number: signal.Signals
) -> None:
    with stand_in_uv.open("a") as program:
        program.write(
            "import os, signal\n"
            f"signal.alarm({TIMEOUT_SECONDS})\n"
            "print(os.getpid(), flush=True)\n"
            "signal.pause()\n"
        )
    with subprocess.Popen(  # noqa: S603 - the command is ours
        [sys.executable, bundle / "server" / "main.py", "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"UV": str(stand_in_uv)},
    ) as server:
        assert server.stderr
        assert server.stderr.readline() == "on its stdout\n"
        uv = int(server.stderr.readline())
        server.send_signal(number)
        try:
            # Ends when nobody has stderr open: uv neither.
            output = server.communicate(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(uv, signal.SIGKILL)
            raise

    assert server.returncode == 128 + number
    assert output == ("", "")
    assert list((bundle / ".packages").iterdir()) == []


def make_old(folder: Path) -> Path:
    (folder / "package").mkdir(parents=True)
    os.utime(folder, (0, 0))
    return folder


@pytest.mark.real_time
def test_an_installation_removes_what_earlier_ones_left(bundle: Path, stand_in_uv: Path) -> None:
    packages = bundle / ".packages"
    make_old(packages / "0123456789abcdef")
    make_old(packages / "tmpkilled")
    under_way = packages / "tmpunderway"
    under_way.mkdir()

    run(sys.executable, str(bundle / "server" / "main.py"), "--version", UV=str(stand_in_uv))

    left = set(packages.iterdir()) - {under_way}
    assert len(left) == 1
    assert under_way.is_dir()
    assert left.isdisjoint({packages / "0123456789abcdef", packages / "tmpkilled"})


@pytest.mark.real_time
def test_a_failed_installation_removes_broken_off_ones_and_keeps_complete_ones(
    bundle: Path,
) -> None:
    packages = bundle / ".packages"
    complete = make_old(packages / "0123456789abcdef")
    make_old(packages / "tmpkilled")

    run(sys.executable, str(bundle / "server" / "main.py"), "--version", UV="false")

    assert list(packages.iterdir()) == [complete]


def start_as_a_host_does(bundle: Path) -> subprocess.CompletedProcess[str]:
    """Start the bundle by the command of its manifest, without the packages of this environment."""
    config = json.loads((bundle / "manifest.json").read_text())["server"]["mcp_config"]
    arguments = [word.replace("${__dirname}", str(bundle)) for word in config["args"]]
    uv = str(Path(sys.executable).with_name("uv"))
    # The certificates of this machine, as pip uses them.
    environ = {"UV_SYSTEM_CERTS": "true", "UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""}
    result = run(uv, *arguments, "--version", **environ)
    if result.returncode and any(words in result.stderr for words in NO_INDEX):
        pytest.skip("uv could not connect to the package index, where the dependencies are")
    return result


@pytest.mark.real_time
@pytest.mark.xdist_group("packages")
def test_the_bundle_starts_with_its_hashes_and_not_with_another_one(bundle: Path) -> None:
    """Needs a package index."""
    good = start_as_a_host_does(bundle)
    requirements = bundle / REQUIREMENTS
    head, name, rest = requirements.read_text().partition("\nmcp==")
    tampered, hashes = re.subn(r"sha256:\w+", f"sha256:{'0' * 64}", rest.partition("\nmcp-")[0])
    requirements.write_text(head + name + tampered + rest[len(rest.partition("\nmcp-")[0]) :])

    bad = start_as_a_host_does(bundle)

    assert (good.returncode, good.stdout) == (0, f"hailuo-tasks-mcp {__version__}\n"), good.stderr
    assert hashes
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "Hash mismatch for `mcp==" in bad.stderr
