"""TeX formulas to MathML, which browsers show without a script. A formula that cannot be read shows its source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape, unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin

LONGEST_FORMULA = 2000
# The time of a formula is small, but a text of 200 kB has room for many.
MOST_FORMULAS = 1000

TAGS = frozenset(
    re.findall(
        r"\w+",
        """
    math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd
    mtext mtr munder munderover
        """,
    )
)
# None of them takes an address or a style; their values are checked all the same.
ATTRIBUTES = frozenset(
    re.findall(
        r"\w+",
        """
    columnalign columnspacing depth display displaystyle fence form height largeop linethickness lspace mathvariant
    maxsize minsize movablelimits notation rowspacing rspace scriptlevel separator stretchy voffset width
        """,
    )
)
# How many children an element has, where that is not free: a formula that was broken off has fewer.
CHILDREN = {
    **dict.fromkeys(("mfrac", "mroot", "msub", "msup", "munder", "mover"), 2),
    **dict.fromkeys(("msubsup", "munderover"), 3),
}
VALUE = re.compile(r"[\w .%+-]{1,60}")
# The converter reads the outer form of these only.
INNER = re.compile(r"\\(begin|end)\{(?:aligned|split|equation\*?|align)\}")


def mathml(formula: str, display: bool) -> str:
    """The MathML of a TeX formula, on a line of its own or within one. Raises ValueError for what is no formula."""
    if len(formula) > LONGEST_FORMULA:
        raise ValueError("too long")
    tex = INNER.sub(r"\\\1{align*}", formula)
    try:
        root = convert_to_element(tex, display="block" if display else "inline")
    except Exception as error:  # The converter's own kinds, IndexError, RecursionError, ...
        raise ValueError("no formula") from error
    # Its elements hold character references that it expects to be printed as they are, with whatever stands beside.
    for element in root.iter():
        tidy(element)
    root.attrib.pop("xmlns", None)
    try:
        return tostring(root, encoding="unicode", short_empty_elements=False)
    except RecursionError as error:
        raise ValueError("too deep") from error


def tidy(element: Element) -> None:
    """Make the text of `element` text, and leave it only attributes that change nothing but its looks.

    Raises ValueError for an element that MathML does not know like this.
    """
    if element.tag not in TAGS or len(element) != CHILDREN.get(element.tag, len(element)):
        raise ValueError(f"not MathML: {element.tag} of {len(element)}")
    element.text = unescape(element.text or "")
    for name, value in list(element.attrib.items()):
        if name not in ATTRIBUTES or not VALUE.fullmatch(str(value)):
            del element.attrib[name]


def rendered(token: Token, display: bool, env: EnvType) -> str:
    """The formula of `token`, or its source."""
    env["formulas"] = env.get("formulas", 0) + 1
    try:
        if env["formulas"] > MOST_FORMULAS:
            raise ValueError("too many")
        return mathml(token.content.strip(), display)
    except ValueError:
        mark = "$$" if display else "$"
        return f"<code>{escape(f'{mark}{token.content.strip()}{mark}', quote=False)}</code>"


def render_inline(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """$…$."""
    return rendered(tokens[index], display=False, env=env)


def render_display(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """$$…$$ within a paragraph."""
    return rendered(tokens[index], display=True, env=env)


def render_block(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """$$…$$ on lines of its own."""
    return f"<p>{rendered(tokens[index], display=True, env=env)}</p>\n"


def math_plugin(parser: MarkdownIt) -> None:
    """$…$ and $$…$$ are formulas; a $ beside a space or a digit is money."""
    dollarmath_plugin(
        parser,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    parser.add_render_rule("math_inline", render_inline)
    parser.add_render_rule("math_inline_double", render_display)
    parser.add_render_rule("math_block", render_block)
