"""Sphinx configuration: MyST pages, Furo theme, tables and API pages made from the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from narfast import __version__

project = "narfast"
author = "the narfast authors"
copyright = "the narfast authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "narfast_docs",
]
exclude_patterns = ["_ext"]
nitpicky = True
# Single backticks in docstrings are a link where the name is documented, and code elsewhere.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:class", r"(numpy|collections\.abc|os|pathlib|torch|nn|tuple)\b.*"),  # of annotations
]
# Classes in signatures that no page documents.
UNDOCUMENTED = """
    ArchitectureModel Console ModelSource StoredZoo
    narfast.encoder_config.EncoderConfig
    narfast.errors.Failure
    narfast.evaluation.corpus.Corpus
    narfast.evaluation.protocols.RetrievalTask
    narfast.evaluation.report.TaskResult
    narfast.storage.format.Manifest
    narfast.taxonomy.splits.Split
    narfast.zoo.store.Encoder
"""
nitpick_ignore = [("py:class", name) for name in UNDOCUMENTED.split()]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_mock_imports = ["numba"]  # the configuration of training is documented without it
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"narfast {version}"
html_static_path = ["_static"]
html_css_files = ["narfast.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    # No fonts, scripts or pictures from elsewhere: the pages are read offline, too.
    "footer_icons": [],
}
