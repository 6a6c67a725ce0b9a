"""What tests have at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import traffic

ROOT = Path(__file__).parents[2]
#: Real captures, and what the originals say and write: PCAP_COMPACTOR_CORPUS, or beside the checkout.
SHARED = Path(os.environ.get("PCAP_COMPACTOR_CORPUS", ROOT.parent / "shared"))
CORPUS = SHARED / "captures" / "captures"


def left_out(what: str) -> None:
    """Says loudly that a test does not run; where it must, it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    warnings.warn(UserWarning(f"LEFT OUT: {what}"), stacklevel=2)
    pytest.skip(what)


def shared(pattern: str) -> Path:
    """The first of what is at hand by such a path; without any the test is left out."""
    found = sorted(SHARED.glob(pattern))
    if not found:
        left_out(f"no {SHARED / pattern}: set PCAP_COMPACTOR_CORPUS")
    return found[0]


def peak(code: str, capture: Path, flows: int) -> int:
    """The most memory of a Python that runs ``code`` with a capture, in kB. It prints how many flows it has seen, and then its peak."""
    run = subprocess.run([sys.executable, "-c", code, capture], capture_output=True, text=True, check=True)
    seen, kilobytes = map(int, run.stdout.split())
    assert seen == flows
    return kilobytes


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A capture of two hours."""
    return traffic.day(tmp_path)


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    """The folders of two sensors with an hour each."""
    for sensor, client in (("edge-a", "10.0.0.1"), ("edge-b", "10.0.0.2")):
        traffic.pcap(tmp_path / sensor / "2023/10/19/12/one.pcap", traffic.web(5.0, client) + traffic.web(50.0, client))
    return tmp_path


@pytest.fixture(scope="session")
def cli() -> Path:
    """The command, by PCAP_COMPACTOR_CLI or as it was built beside."""
    built = [ROOT / "target" / profile / "pcap-compactor" for profile in ("release", "debug")]
    named = os.environ.get("PCAP_COMPACTOR_CLI") or shutil.which("pcap-compactor")
    for path in [Path(named)] if named else built:
        if path.is_file():
            return path
    left_out("no pcap-compactor to compare with: build it, or set PCAP_COMPACTOR_CLI")
    raise AssertionError


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    """Real captures: every twelfth by name, or all with PCAP_COMPACTOR_ALL=1."""
    captures = sorted(CORPUS.iterdir()) if CORPUS.is_dir() else []
    if not captures:
        left_out(f"no captures in {CORPUS}: set PCAP_COMPACTOR_CORPUS")
    return captures if os.environ.get("PCAP_COMPACTOR_ALL") else captures[::12]
