"""Directives that list what the package offers by looking at it, so that the pages cannot go stale.

``.. public-api:: skstruct.metrics`` lists the public names of a module, each with a page of its own; names
after the module restrict it to these. ``.. component-table:: skstruct.inference.BACKENDS`` makes a table of
the rows of a table of components. ``.. rest-of-api::``, at the end of a page, has a section for each module
with names that no page of the folder ``api`` lists.
"""

import importlib
import inspect
import pkgutil
import posixpath
import re
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.ext.autosummary import Autosummary
from sphinx.ext.autosummary.generate import generate_autosummary_docs
from sphinx.util.docutils import SphinxDirective

import skstruct
import skstruct.scores

PAGES = "api/generated"
LISTING = re.compile(r"^\.\. public-api:: (\S+) *(.*)$", re.MULTILINE)
CITATION = re.compile(r"\s*\(\[[\w-]+\]_[^)]*\)|\s*\[[\w-]+\]_")  # "[1]_" and "([1]_, chapter 5)"


def public_modules():
    """Names of the package and its public modules."""
    found = [m.name for m in pkgutil.iter_modules(skstruct.__path__) if not m.name.startswith("_")]
    return ["skstruct", *(f"skstruct.{name}" for name in found)]


def public_names(module_name):
    """Full names of the public classes, functions and scorers of a module, in its own order.

    What the package itself exports has its page there, and records have theirs in `skstruct.scores`.
    """
    module = importlib.import_module(module_name)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
        names = [name for name in names if inspect.isclass(getattr(module, name))]
    homes = [home for home in (skstruct, skstruct.scores) if home is not module]
    elsewhere = [getattr(home, name) for home in homes for name in home.__all__]
    values = {name: getattr(module, name) for name in names if name[0] != "_"}
    public = {name: value for name, value in values.items() if callable(value)}
    return [f"{module_name}.{name}" for name, value in public.items() if all(value is not e for e in elsewhere)]


def chosen_names(module_name, *wanted):
    """Full names of the wanted names of a module, or of all its public names."""
    return [f"{module_name}.{name}" for name in wanted] or public_names(module_name)


def component_tables(module_name):
    """Full names of the tables of components in a module."""
    module = importlib.import_module(module_name)
    tables = [name for name in getattr(module, "__all__", []) if isinstance(getattr(module, name), dict)]
    return [f"{module_name}.{name}" for name in tables]


def generate_pages(app):
    """Write one page for every public name, by autosummary and its templates."""
    names = [name for module in public_modules() for name in public_names(module)]
    lines = [".. autosummary::", f"   :toctree: {Path(app.srcdir) / PAGES}", "", *(f"   {n}" for n in names)]
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "public.rst"
        listing.write_text("\n".join(lines))
        generate_autosummary_docs([str(listing)], suffix=".rst", app=app)


class PublicAPI(Autosummary):
    """The names of a module, as an autosummary with pages."""

    required_arguments = 1
    optional_arguments = 100
    has_content = False

    def run(self):
        """Hand the names to autosummary."""
        names = chosen_names(*self.arguments)
        self.content = StringList([f"~{name}" for name in names], source=self.arguments[0])
        self.options["toctree"] = posixpath.relpath(PAGES, posixpath.dirname(self.env.docname) or ".")
        return super().run()

    def get_items(self, names):
        """Names, signatures and summaries, these without references to literature."""
        return [(n, sig, CITATION.sub("", text), real) for n, sig, text, real in super().get_items(names)]


class RestOfAPI(SphinxDirective):
    """Sections for the public names that no page of the folder lists, with the tables of their modules."""

    def run(self):
        """Make the sections."""
        pages = sorted((Path(self.env.srcdir) / "api").glob("*.rst"))
        listings = [listing for page in pages for listing in LISTING.findall(page.read_text())]
        listed = {name for module, wanted in listings for name in chosen_names(module, *wanted.split())}
        lines = []
        for module in public_modules():
            rest = [name.rpartition(".")[2] for name in public_names(module) if name not in listed]
            if not rest:
                continue
            lines += [module, "-" * len(module), ""]
            lines += [inspect.getdoc(importlib.import_module(module)).split("\n\n")[0], ""]
            for table in component_tables(module):
                lines += [f".. component-table:: {table}", ""]
            lines += [f".. public-api:: {module} {' '.join(rest)}", ""]
        sections = self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)
        for section in sections:
            section["classes"].append("rest-of-api")
        return sections


def raise_sections(app, doctree):
    """Move the sections of `RestOfAPI` out of the one that the directive stands in."""
    for section in list(doctree.findall(nodes.section)):
        if "rest-of-api" in section["classes"]:
            section["classes"].remove("rest-of-api")
            home = section.parent
            home.remove(section)
            home.parent.append(section)


def summary(component):
    """Return the summary of a docstring without its last dot and without references to literature."""
    text = inspect.getdoc(component).split("\n\n")[0].replace("\n", " ").rstrip(".")
    return CITATION.sub("", text)


def stated_time(component):
    """Return what follows "Time" in a docstring, in O notation and with its "per ...", or a dash."""
    text = " ".join(inspect.getdoc(component).split())
    found = re.search(r"\bTime\b[^.]*?(O\((?:[^()]|\([^()]*\))*\))( per \w+)?", text)
    return f"``{found[1]}``{found[2] or ''}" if found else "—"


def exactness(component):
    """Tell whether a backend is exact on what it takes."""
    return "yes" if component.exact else "depends" if component.name == "auto" else "no"


class ComponentTable(SphinxDirective):
    """The rows of a table of components: name, class, and what can be said about all of them."""

    required_arguments = 1

    def run(self):
        """Make the table."""
        module_name, table_name = self.arguments[0].rsplit(".", 1)
        table = getattr(importlib.import_module(module_name), table_name)
        components = {name: component() for name, component in table.items()}
        columns = {
            "Name": {name: f'``"{name}"``' for name in table},
            "Class": {name: f":class:`~{module_name}.{cls.__name__}`" for name, cls in table.items()},
        }
        if all(hasattr(component, "exact") for component in components.values()):
            columns["Exact"] = {name: exactness(component) for name, component in components.items()}
        if all(hasattr(component, "family") for component in components.values()):
            columns["Takes"] = {name: component.family for name, component in components.items()}
        else:
            columns["What it is"] = {name: summary(component) for name, component in table.items()}
        times = {name: stated_time(component) for name, component in table.items()}
        if set(times.values()) != {"—"}:
            columns["Time"] = times
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [list(columns), *([column[name] for column in columns.values()] for name in table)]:
            lines += [f"   * - {row[0]}", *(f"     - {cell}" for cell in row[1:])]
        holder = nodes.container()
        holder += self.parse_text_to_nodes("\n".join(lines))
        return holder.children


def setup(app):
    """Register the directives, and make the pages before anything is read."""
    app.add_directive("public-api", PublicAPI)
    app.add_directive("rest-of-api", RestOfAPI)
    app.add_directive("component-table", ComponentTable)
    app.connect("builder-inited", generate_pages)
    app.connect("doctree-read", raise_sections, priority=100)  # before tables of contents are collected
    return {"parallel_read_safe": True}
