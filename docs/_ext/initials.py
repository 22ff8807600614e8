"""Initials of authors in references: docutils reads ``.. [1] B. Taskar`` as the second item of a list."""

from docutils import nodes


def restore_initials(app, doctree):
    """Replace a list that is the beginning of a reference by its text, with the initial."""
    for listing in list(doctree.findall(nodes.enumerated_list)):
        if isinstance(listing.parent, nodes.footnote | nodes.citation) and listing["enumtype"].startswith("upper"):
            initial = "I" if listing["enumtype"] == "upperroman" else chr(ord("A") + listing.get("start", 1) - 1)
            paragraph = listing[0][0]
            paragraph.insert(0, nodes.Text(f"{initial}. "))
            listing.replace_self(listing[0].children)


def setup(app):
    """Correct each page after it was read."""
    app.connect("doctree-read", restore_initials)
    return {"parallel_read_safe": True}
