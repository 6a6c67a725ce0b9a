"""The notebook runs, from its first cell to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_the_notebook_goes_from_capture_to_picture(tmp_path: Path) -> None:
    capture = traffic.day(tmp_path)
    # A kernel of its own, with nothing of this machine's user.
    environment = os.environ | {"CAPTURE": str(capture), "IPYTHONDIR": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", RUN, NOTEBOOK], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-4000:]
    pictures, score = run.stdout.splitlines()
    assert int(pictures) == 4
    assert score == "100% of each service's flows on average, of 80 flows that were held back"
