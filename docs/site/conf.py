# Sphinx: the documentation site from README.md, docs/, the notebooks and the docstrings.
# scripts/docs builds it. The pages keep their places in the repository, so that their links to each
# other are the same here and there.
import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

project = "Crosstate"
author = "the Crosstate developers"
copyright = author
version = release = re.search(r'kVersion = "(.*)"',
                              (ROOT / "crosstate/base/version.h").read_text()).group(1)

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon",
              "sphinx.ext.viewcode"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "docs/**.md", "models/README.md",
                    "examples/notebooks/**.ipynb"]
exclude_patterns = ["build", "dist", "out", ".*", "docs/site/_*"]

html_theme = "furo"
html_title = f"Crosstate {version}"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_merge_streams = True

napoleon_google_docstring = False
autodoc_typehints = "none"  # NumPy's array types expand to lines of internal names
autodoc_member_order = "bysource"

# Without the compiled module, the API reference comes from the Python sources alone and notebooks
# are shown without results.
autodoc_mock_imports = []
# Stand-ins for packages that are not there, and names such as `steps` that several classes have.
suppress_warnings = ["autodoc.mocked_object", "ref.python"]
if any(list((Path(folder) / "crosstate").glob("_core*.so")) for folder in sys.path):
    nb_execution_mode = "force"
    nb_execution_timeout = 600
    nb_execution_raise_on_error = True
    if importlib.util.find_spec("torch") is None:
        nb_execution_excludepatterns = ["*/from-pytorch-to-a-chip.ipynb"]
else:
    sys.path.insert(0, str(ROOT / "python"))
    autodoc_mock_imports.append("crosstate._core")
    nb_execution_mode = "off"
autodoc_mock_imports += [name for name in ("sklearn", "torch", "matplotlib", "onnx")
                         if importlib.util.find_spec(name) is None]

# Highlighting of the ASCII drawings and shell lines in code blocks is guessed wrong.
highlight_language = "none"

CONTENTS = {
    "Guides": ["docs/command-line", "docs/data", "docs/tasks", "docs/quantization", "docs/chip",
               "docs/pruning", "docs/cost", "docs/sweeps", "docs/external-chip", "docs/export",
               "docs/sensor"],
    "Python": ["docs/python", "docs/pytorch", "docs/onnx", "docs/site/api",
               "examples/notebooks/from-arrays-to-a-chip",
               "examples/notebooks/from-pytorch-to-a-chip", "examples/notebooks/your-own-device",
               "examples/notebooks/reading-a-sweep"],
    "Reference": ["docs/arithmetic", "docs/crossbar", "docs/devices", "docs/glossary", "docs/map",
                  "docs/claims", "docs/results/README", "models/README", "docs/dependencies",
                  "CHANGELOG"],
}


def add_contents(app, docname, source):
    """Appends the table of contents of the site to the first page, and turns links to folders, which
    the site does not have, into plain names. Links to other files become downloads."""
    here = (ROOT / docname).parent

    def link(found):
        text, target = found.group(1), found.group(2)
        if re.match(r"[a-z]+:|#", target):
            return found.group(0)
        path = (here / target.split("#")[0]).resolve()
        if path.is_dir():
            return text if text.startswith("`") else f"`{text}`"
        return found.group(0)

    if not docname.startswith("examples/"):
        source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, source[0])
    if docname == root_doc:
        listed = {page for pages in CONTENTS.values() for page in pages}
        others = sorted(set(app.env.found_docs) - listed - {root_doc})
        for title, pages in (*CONTENTS.items(), ("More", others)):
            pages = [page for page in pages if page in app.env.found_docs]
            if pages:
                source[0] += (f"\n\n```{{toctree}}\n:caption: {title}\n:hidden:\n\n"
                              + "\n".join(f"/{page}" for page in pages) + "\n```\n")


def setup(app):
    app.connect("source-read", add_contents)
