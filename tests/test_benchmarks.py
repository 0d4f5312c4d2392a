"""The benchmarks run; what they measure is for people to read."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_the_soak_goes_well_for_some_hundred_calls() -> None:
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "soak.py"), "--calls", "300", "--seconds", "60"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "300 of 300 answered" in result.stdout
    assert result.stdout.endswith("GOOD\n")
