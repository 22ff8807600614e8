"""Sphinx configuration: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import skstruct

project = "skstruct"
author = "The skstruct developers"
copyright = author
release = skstruct.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "initials",
    "mathml",
    "public_api",
]
exclude_patterns = ["_build", "README*"]
templates_path = ["_templates"]

# ---- API pages: _ext/public_api.py writes them, so autosummary need not look for them
autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
doctest_default_flags = 0  # code is run by tests/test_docs.py and pytest --doctest-modules
trim_doctest_flags = True

# ---- the gallery: one page for each script of examples/, with the pictures that it draws
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_(?!camvid)",  # the images of CamVid are not part of skstruct
    "backreferences_dir": None,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
}

# ---- references: every role must resolve; `single backticks` link where they can and are code otherwise
nitpicky = True
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    # without inventories of other projects, since the build needs no network
    ("py:.*", r"(sklearn|numpy|scipy|pandas|networkx|joblib)\..*"),
]

# ---- HTML, complete without a network
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"skstruct {release}"
html_static_path = ["_static"]
html_css_files = ["skstruct.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}
