"""How Sphinx makes the site of docs/: ``make docs``."""

import inngest_wsgi

project = "inngest_wsgi"
author = "the authors of inngest_wsgi"
version = release = inngest_wsgi.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["requirements.txt"]
source_suffix = {".md": "markdown"}

# a warning is an error, and so is a name that leads nowhere
nitpicky = True
nitpick_ignore_regex = [
    # names of others: their documentation is not looked up, so that the site builds offline
    (r"py:.*", r"(django|flask|pyramid|sqlalchemy)\..*"),
    (
        r"py:.*",
        r"(collections|contextlib|datetime|enum|logging|pathlib|threading|types|typing|t|unittest)\..*",
    ),
    # names that a signature has and that nobody imports
    (r"py:.*", r"inngest_wsgi\.(.*\.)?_.*"),
    (r"py:.*", r"(inngest_wsgi\.(.*\.)?)?[A-Z][0-9]?(\.args|\.kwargs)?"),
    (r"py:.*", r"inngest_wsgi\.(ai\.Adapter|context\.State|function\.Options|middleware\.Client)"),
    (r"py:.*", r"Args|Declare|Factory|GivenType|Json|Option|SyncJSON|Trigger"),
]

myst_enable_extensions = ["attrs_block", "deflist"]
# anchors as on GitHub, where the pages are read too
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"inngest_wsgi {release}"
html_static_path = []
html_copy_source = False
html_show_sourcelink = False
