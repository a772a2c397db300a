"""The notebooks run from a fresh kernel, and are stored without results and paths of a machine."""

import json
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

pytestmark = pytest.mark.extras

FOLDER = Path(__file__).parents[3] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

#: What the results of a notebook have to show for its text to be true.
CLAIMS = {
    "from-arrays-to-a-chip": """
rounded, trained = rounded.summary, trained.summary
assert rounded["accuracy_mean"] <= trained["accuracy_mean"]
assert trained["accuracy_worst"] > 0.95
""",
    "from-pytorch-to-a-chip": """
assert chips.summary["accuracy_mean"] <= trained.summary["accuracy_mean"]
assert trained.summary["accuracy_worst"] > 0.95
""",
    "reading-a-sweep": """
best = points.groupby("model.channels")["qat_accuracy"].max()
assert best.is_monotonic_increasing and best.iloc[-1] > 0.9
""",
    "your-own-device": """
assert all(a["accuracy_mean"] > 0.9 for a in chips.summary["ages"])
""",
}


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == CLAIMS.keys()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_results(path):
    text = path.read_text()
    assert not re.search(r"/(root|home|work|tmp|Users)/", text)
    for cell in json.loads(text)["cells"]:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    if "crosstate.torch" in path.read_text():
        pytest.importorskip("torch")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(CLAIMS[path.stem]))
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                            resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    warned = [output["text"] for output in shown
              if output.get("name") == "stderr" and "Warning" in output["text"]]
    assert not warned
