"""Examples run: the quick ones, as a reader would run them."""

import json
import subprocess
import sys
from pathlib import Path

import elman

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_service_loads_what_the_notebook_has_trained(tmp_path):
    """The notebook's cells in order, and then the service under a load of less than a second."""
    notebook = json.loads((EXAMPLES / "train.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    script = tmp_path / "train.py"
    script.write_text("\n".join("".join(cell["source"]) for cell in cells), encoding="utf-8")
    printed = run("-W", "error::UserWarning", script, cwd=tmp_path)
    assert "mean squared error" in printed
    assert elman.load(tmp_path / "forecaster.safetensors").cell == "gru"
    printed = run(
        EXAMPLES / "service.py", "forecaster.safetensors", "--seconds", "0.5", cwd=tmp_path
    )
    assert "answers to 16 clients, all equal to predict: p50" in printed


def test_the_notebook_keeps_what_a_run_has_put_out():
    notebook = json.loads((EXAMPLES / "train.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["language_info"]["name"]) == (4, "python")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds == {"execute_result", "stream"}
