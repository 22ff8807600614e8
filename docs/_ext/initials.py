"""Initials of authors in references: docutils reads ``.. [1] B. Taskar`` as the second item of a list."""

from docutils import nodes


def restore_initials(app, doctree):
    """Replace lists that begin a reference, one in another if there are two initials, by their text."""
    for listing in list(doctree.findall(nodes.enumerated_list)):
        if not isinstance(listing.parent, nodes.footnote | nodes.citation):
            continue
        initials, inner = "", listing
        while isinstance(inner, nodes.enumerated_list) and inner["enumtype"].startswith("upper"):
            is_roman = inner["enumtype"] == "upperroman"
            initials += "I. " if is_roman else f"{chr(ord('A') + inner.get('start', 1) - 1)}. "
            item = inner[0]
            inner = item[0]
        if initials:
            inner.insert(0, nodes.Text(initials))
            listing.replace_self(item.children)


def setup(app):
    """Correct each page after it was read."""
    app.connect("doctree-read", restore_initials)
    return {"parallel_read_safe": True}
