"""Formulas as MathML, which browsers show without scripts and without a network.

docutils converts the formulas. A formula that it cannot convert is a warning, and the page shows its LaTeX source.
MathML needs a font with a table of the sizes of mathematical signs. Some systems have none, so that the pages bring
one: STIX Two Math (SIL Open Font License), from the package ziamath.
"""

import re
import shutil
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

FONT = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
FENCE = re.compile("<mo>([⟨⟩‖|])</mo>")
APPLICATION = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*(?:<mrow>\s*)?<mo)")  # of log x, not of log(x)
ACCENT = re.compile(r"<munderover>\s*(<mi>\w</mi>)(.*?)(<mo[^>]*>[ˆ˜¯]</mo>)\s*</munderover>", re.DOTALL)
LOGGER = logging.getLogger(__name__)


def mathml(node, as_block):
    """Return the MathML of a formula, with fences, functions and indices of accents set as TeX does."""
    try:
        formula = tex2mathml(node.astext(), as_block=as_block)
    except ValueError as error:
        LOGGER.warning("%s in the formula %s", error, node.astext(), location=node)
        return f"<code>{node.astext()}</code>"
    formula = FENCE.sub(r'<mo stretchy="false">\1</mo>', formula)
    formula = ACCENT.sub(r'<msub><mover accent="true">\1\3</mover>\2</msub>', formula)  # the index beside the letter
    return APPLICATION.sub('<mo rspace="0.1667em">&ApplyFunction;</mo>', formula)


def visit_inline(translator, node):
    """Write a formula of a line of text."""
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula in a block of its own."""
    translator.body.append(f'<div class="formula">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def copy_font(app, exception):
    """Put the font beside the style sheets."""
    if exception is None and app.builder.format == "html":
        shutil.copy(FONT, Path(app.outdir) / "_static" / FONT.name)


def setup(app):
    """Register the renderer, which ``html_math_renderer`` selects."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    app.connect("build-finished", copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
