"""How the documentation is built: `make docs`, offline, a warning is an error."""

import expressome

project = "expressome"
author = "The expressome developers"
copyright = "2026, The expressome developers"  # noqa: A001 - Sphinx's own name
release = version = expressome.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.xref_missing",  # files of the checkout, such as ../benchmarks/reading.py
]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc sections state the types, with shapes and units
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = "expressome"
html_static_path: list[str] = []
html_copy_source = False
