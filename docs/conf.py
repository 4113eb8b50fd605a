"""How the site is built: ``python -m sphinx -W --keep-going -b html docs build/docs``.

Everything that a page needs is in the build: no other site is asked while it is made or read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import elman

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "elman"
author = "the authors of elman"
project_copyright = author
version = release = elman.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "executed",
    "drawing",
    "equations",
]
exclude_patterns = ["_*"]
templates_path = ["_templates"]
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False

# Pages on public data run where the data may be read; elsewhere their code is shown alone.
executed_have_data = "ELMAN_DATA" in os.environ

# The scripts are short, run in a few seconds each, and need no data of others.
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "image_scrapers": ("gallery.drawn",),
    "reset_modules": ("gallery.style",),
    "within_subsection_order": "gallery.Order",
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,
    "remove_config_comments": True,
    "thumbnail_size": (400, 280),
}

copybutton_exclude = ".linenos, .gp, .go"

html_math_renderer = "drawn"  # by the extension equations
html_theme = "pydata_sphinx_theme"
html_title = "elman"
html_static_path = ["_static"]
html_css_files = ["elman.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"[!acg]*": [], "changelog": [], "glossary": []}  # pages with none below them
html_theme_options = {
    "logo": {"text": "elman"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_toc_level": 2,
}
