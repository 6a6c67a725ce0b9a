"""The notebook runs, from its first cell to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import traffic
from conftest import ROOT

NOTEBOOK = ROOT / "python" / "examples" / "from_capture_to_picture.ipynb"

RUN = """
import sys
import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
print(sum("image/png" in output.get("data", {}) for output in outputs))
print("".join(output["text"] for output in outputs if output.output_type == "stream" and output.name == "stdout"), end="")
"""


def executed(capture: Path, folder: Path) -> list[str]:
    """How many pictures the notebook draws of a capture, and then the lines that it prints."""
    # A kernel of its own, with nothing of this machine's user.
    environment = os.environ | {"CAPTURE": str(capture), "IPYTHONDIR": str(folder), "MPLCONFIGDIR": str(folder)}
    run = subprocess.run([sys.executable, "-c", RUN, NOTEBOOK], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stdout.splitlines()


def test_the_notebook_goes_from_capture_to_picture(tmp_path: Path) -> None:
    assert executed(traffic.day(tmp_path), tmp_path) == [
        "4",
        "100% of each service's flows on average, of 80 flows that were held back",
    ]


@pytest.mark.parametrize("flows, services", [(3, 0), (12, 1)])
def test_of_a_capture_of_little_the_notebook_says_what_it_cannot_do(tmp_path: Path, flows: int, services: int) -> None:
    """There are no scans, and no two services to tell apart."""
    records = [record for n in range(flows) for record in traffic.web(n * 10.0, port=40000 + n)]
    assert executed(traffic.pcap(tmp_path / "little.pcap", records), tmp_path) == [
        "2",
        f"No classifier: it takes two services of 10 flows or more, and this capture has {services}",
    ]
