"""Markdown to safe HTML, when something is saved: CommonMark with tables, footnotes, tasks, formulas; right in Chinese.

Two fences, either of which would do: the parser lets no HTML through (`html=False`), and nh3 takes whatever is not on
the list out of what it made. Ids get a prefix, so that no text can take a name that the page's own elements use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape, unescape
from html.parser import HTMLParser

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from blog import maths
from uploads import sizes

# Raise it when the same text renders to other HTML than before: `release` then renders everything anew.
VERSION = 3

ID_PREFIX = "u-"
LARGEST_HIGHLIGHTED = 30_000

# --- Chinese, Japanese, Korean

# Letters and punctuation of scripts written without spaces, the full-width forms, and the quotation marks, dash and
# ellipsis that Chinese shares with Western languages.
CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\ufe30-\ufe4f\uff00-\uffef\U0001b000-\U0001b16f\U0001f200-\U0001f2ff\U00020000-\U0003ffff]"
)
FULL_WIDTH_PUNCTUATION = "，。、；：？！“”‘’（）【】《》〈〉「」『』〔〕…—～·"


def is_cjk(character: str) -> bool:
    """Whether `character` belongs to a script that puts no spaces between words, or to its punctuation."""
    return CJK.match(character) is not None


def is_punctuation(character: str) -> bool:
    """Whether `character` is punctuation or a symbol in the sense of CommonMark."""
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


class CjkStateInline(StateInline):
    """Inline state in which a CJK neighbour ends a word as a space does: `**“中文”**强调` is bold.

    CommonMark decides whether ** opens or closes by the white space and punctuation around it, which presumes words
    with spaces between them (commonmark/commonmark-spec#650). The amendment proposed there
    (tats-u/markdown-cjk-friendly) lets punctuation on the inner side pass when the outer side is CJK, and CJK
    punctuation pass like a letter. With a CJK neighbour that leaves white space alone to decide; without one the
    parser's own rule does, unchanged.
    """

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803  (the parser's names)
        """See StateInline.scanDelims."""
        scanned = super().scanDelims(start, canSplitWord)
        before = self.src[start - 1] if start > 0 else " "
        end = start + scanned.length
        after = self.src[end] if end < self.posMax else " "
        if not (is_cjk(before) or is_cjk(after)):
            return scanned
        left, right = not isWhiteSpace(ord(after)), not isWhiteSpace(ord(before))
        return Scanned(
            left and (canSplitWord or not right or is_punctuation(before)),
            right and (canSplitWord or not left or is_punctuation(after)),
            scanned.length,
        )


class CjkParserInline(ParserInline):
    """The inline parser with that state."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """See ParserInline.parse."""
        state = CjkStateInline(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class CjkMarkdown(MarkdownIt):
    """The parser with that inline parser."""

    def __init__(self, options: dict[str, bool]) -> None:
        super().__init__("commonmark", options)
        self.inline = CjkParserInline()
        # Again, for the new inline parser: the preset names the rules that are on.
        self.configure("commonmark", options_update=options)


# --- Bare addresses

SCHEME = re.compile(r"(?:^|(?<=[^0-9A-Za-z+.-]))https?$")
# Up to white space, an angle bracket, a quotation mark, a backtick, or full-width punctuation.
ADDRESS = re.compile(rf"://[^\s<>\"`{FULL_WIDTH_PUNCTUATION}\u3000-\u303f\uff00-\uffef]{{1,2000}}")


TRAILING = "?!.,:;*_~'|"
BRACKETS = {")": "(", "]": "["}
LONGEST_ADDRESS = 1999


def without_trailing(address: str) -> str:
    """`address` without what belongs to the sentence: closing punctuation, emphasis marks, an unopened bracket."""
    while address:
        last = address[-1]
        surplus = last in BRACKETS and address.count(last) > address.count(BRACKETS[last])
        if last not in TRAILING and not surplus:
            break
        address = address[:-1]
    return address


def link_addresses(state: StateInline, silent: bool) -> bool:
    """Inline rule: http://… and https://… become links, and end where Chinese text goes on."""
    if state.linkLevel > 0 or silent or not state.src.startswith("://", state.pos):
        return False
    # The scheme was read as text a moment before; nothing longer needs to be looked at.
    scheme = SCHEME.search(state.pending[-6:])
    found = ADDRESS.match(state.src, state.pos, state.posMax)
    if scheme is None or found is None or len(found.group()) > LONGEST_ADDRESS:
        return False
    address = without_trailing(scheme.group() + found.group())
    target = state.md.normalizeLink(address)
    if len(address) <= len(scheme.group()) + 3 or not state.md.validateLink(target):
        return False
    state.pending = state.pending[: -len(scheme.group())]
    opening = state.push("link_open", "a", 1)
    opening.attrs = {"href": target}
    opening.markup, opening.info = "autolink", "auto"
    state.push("text", "", 0).content = state.md.normalizeLinkText(address)
    closing = state.push("link_close", "a", -1)
    closing.markup, closing.info = "autolink", "auto"
    state.pos += len(address) - len(scheme.group())
    return True


# --- Headings, pictures, tables, code


def plain(tokens: Sequence[Token] | None) -> str:
    """The text of inline `tokens` without markup."""
    parts = []
    for token in tokens or ():
        if token.type in ("text", "code_inline", "text_special", "math_inline", "math_inline_double"):
            parts.append(token.content)
        elif token.type == "image":
            parts.append(plain(token.children))
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts)


def anchor_headings(state: StateCore) -> None:
    """Core rule: the highest heading becomes h2, as the title is the page's h1; each has an id made of its text."""
    taken: dict[str, int] = {}
    shift = 2 - min((int(token.tag[1]) for token in state.tokens if token.type == "heading_open"), default=2)
    for position, token in enumerate(state.tokens):
        if token.type not in ("heading_open", "heading_close"):
            continue
        token.tag = f"h{min(int(token.tag[1]) + shift, 6)}"
        if token.type == "heading_open":
            words = re.findall(r"\w+", plain(state.tokens[position + 1].children).lower())
            name = "-".join(words)[:60] or "section"
            taken[name] = taken.get(name, 0) + 1
            # A number of its own kind, so that "a", "a" and "a-2" stay three.
            token.attrSet("id", name if taken[name] == 1 else f"{name}--{taken[name]}")


REL = "noopener noreferrer nofollow ugc"


def is_own_address(address: str) -> bool:
    """Whether `address` is a path on this site."""
    return address.startswith("/") and not address.startswith(("//", "/\\"))


def place_images(state: StateCore) -> None:
    """Core rule: pictures load late, have a size, and are offered in several sizes where there are some (`pictures` of
    the environment); one of another site becomes a link; one alone with a title becomes a figure.

    A page must ask nobody else for anything: the other site would learn who reads what. The environment's `foreign` and
    `without_alt` count the pictures of other sites and those that do not say what is on them.
    """
    known: Mapping[str, sizes.Shown] = state.env.get("pictures", {})
    for position, token in enumerate(state.tokens):
        if token.type != "inline" or not token.children:
            continue
        if len(token.children) == 1 and token.children[0].type == "image":
            image = token.children[0]
            if is_own_address(str(image.attrGet("src") or "")) and (title := str(image.attrGet("title") or "")):
                opening, closing = state.tokens[position - 1], state.tokens[position + 1]
                if opening.type == "paragraph_open" and not opening.hidden:
                    opening.tag = closing.tag = "figure"
                    del image.attrs["title"]
                    caption = Token("html_inline", "", 0, content=f"<figcaption>{escape(title)}</figcaption>")
                    token.children.append(caption)
        replaced: list[Token] = []
        inside_link = 0
        for child in token.children:
            inside_link += {"link_open": 1, "link_close": -1}.get(child.type, 0)
            source = str(child.attrGet("src") or "") if child.type == "image" else ""
            if child.type == "image" and not is_own_address(source):
                state.env["foreign"] = state.env.get("foreign", 0) + 1
                words = Token("text", "", 0, content=plain(child.children) or source)
                if inside_link:
                    replaced.append(words)
                else:
                    link = Token("link_open", "a", 1, attrs={"href": source})
                    replaced += [link, words, Token("link_close", "a", -1)]
            elif child.type == "image":
                state.env["without_alt"] = state.env.get("without_alt", 0) + (not plain(child.children).strip())
                replaced += in_sizes(child, known.get(source))
            else:
                replaced.append(child)
        token.children = replaced


def in_sizes(image: Token, shown: sizes.Shown | None) -> list[Token]:
    """The tokens that show `image`, in the sizes that are `shown` of it."""
    image.attrSet("loading", "lazy")
    image.attrSet("decoding", "async")
    if shown is None:
        return [image]
    image.attrs |= {"width": shown.width, "height": shown.height}
    if not shown.sources:
        return [image]
    offered = "".join(
        f'<source type="{source.type}" srcset="{source.srcset}" sizes="{sizes.IN_TEXT}">' for source in shown.sources
    )
    return [
        Token("html_inline", "", 0, content=f"<picture>{offered}"),
        image,
        Token("html_inline", "", 0, content="</picture>"),
    ]


ALIGNMENT = re.compile(r"text-align:\s*(left|right|center)")


def mark_links(state: StateCore) -> None:
    """Core rule: a link to another site vouches for nothing and tells that site nothing but the origin."""
    for token in state.tokens:
        for child in token.children or ():
            target = str(child.attrGet("href") or "") if child.type == "link_open" else "#"
            if not target.startswith("#") and not is_own_address(target):
                child.attrSet("rel", REL)


def label_tables(state: StateCore) -> None:
    """Core rule: a table knows the text of its header, for those who hear the page; cells are aligned by a class.

    The parser aligns by an inline style, which the content security policy forbids.
    """
    table: Token | None = None
    headers: list[str] = []
    for position, token in enumerate(state.tokens):
        if token.type == "table_open":
            table, headers = token, []
        if token.type in ("th_open", "td_open") and (
            alignment := ALIGNMENT.fullmatch(str(token.attrGet("style") or ""))
        ):
            token.attrs = {"class": f"align-{alignment.group(1)}"}
        if token.type == "th_open":
            headers.append(plain(state.tokens[position + 1].children).strip())
        elif token.type == "thead_close" and table is not None:
            table.meta["label"] = ", ".join(filter(None, headers))[:120]


def render_table_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """A wide table scrolls in a region of its own that the keyboard reaches; the page never scrolls sideways."""
    label = escape(tokens[index].meta.get("label") or "Table")
    return f'<div class="table-scroll" tabindex="0" role="region" aria-label="{label}"><table>\n'


def render_table_close(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Ends what render_table_open began."""
    return "</table></div>\n"


class ClassFormatter(HtmlFormatter):
    """Pygments' spans with classes and no wrapper."""

    def __init__(self) -> None:
        super().__init__(nowrap=True)


def render_code(content: str, language: str) -> str:
    """A code block, coloured by classes (the CSP forbids styles) where the language is known and it is not huge."""
    text = content if content.endswith("\n") else content + "\n"
    name = re.sub(r"[^0-9a-z+#_.-]", "", language.lower())[:30]
    try:
        lexer = get_lexer_by_name(name, stripnl=False) if name and len(text) <= LARGEST_HIGHLIGHTED else None
    except ClassNotFound:
        lexer = None
    code = highlight(text, lexer, ClassFormatter()) if lexer else escape(text, quote=False)
    css = f' class="language-{escape(name)}"' if name else ""
    return f'<div class="highlight"><pre tabindex="0"><code{css}>{code}</code></pre></div>\n'


def render_fence(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """A fenced block; the first word after the fence names the language."""
    info = unescape(tokens[index].info).split(maxsplit=1)
    return render_code(tokens[index].content, info[0] if info else "")


def render_code_block(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """An indented block."""
    return render_code(tokens[index].content, "")


# --- The whole


@cache
def article_parser() -> MarkdownIt:
    """The parser for articles."""
    parser = CjkMarkdown({"html": False, "linkify": False, "typographer": False})
    parser.enable(["table", "strikethrough"])
    parser.use(footnote_plugin, inline=False)
    # The item's text is the label of its box, for those who hear the page.
    parser.use(tasklists_plugin, label=True)
    parser.use(maths.math_plugin)
    return with_own_rules(parser)


@cache
def comment_parser() -> MarkdownIt:
    """The parser for comments: emphasis, code, links, quotes and lists, but no headings, pictures or tables."""
    parser = CjkMarkdown({"html": False, "linkify": False, "typographer": False, "breaks": True})
    parser.enable(["strikethrough"])
    parser.disable(["heading", "lheading", "hr", "image", "reference"])
    return with_own_rules(parser)


def with_own_rules(parser: MarkdownIt) -> MarkdownIt:
    """`parser` with the rules of this module."""
    parser.inline.ruler.push("link_addresses", link_addresses)
    parser.core.ruler.push("anchor_headings", anchor_headings)
    parser.core.ruler.push("place_images", place_images)
    parser.core.ruler.push("mark_links", mark_links)
    parser.core.ruler.push("label_tables", label_tables)
    parser.add_render_rule("table_open", render_table_open)
    parser.add_render_rule("table_close", render_table_close)
    parser.add_render_rule("fence", render_fence)
    parser.add_render_rule("code_block", render_code_block)
    return parser


INLINE_TAGS = {"a", "br", "code", "del", "em", "s", "span", "strong", "sub", "sup"}
BLOCK_TAGS = {"blockquote", "div", "li", "ol", "p", "pre", "ul"}
PICTURE_TAGS = {"img", "picture", "source"}
ARTICLE_TAGS = (
    INLINE_TAGS
    | BLOCK_TAGS
    | {"h2", "h3", "h4", "h5", "h6", "hr", "figure", "figcaption", "input", "label", "section"}
    | PICTURE_TAGS
    | {"table", "thead", "tbody", "tr", "th", "td"}
    | maths.TAGS
)
ATTRIBUTES = {
    "a": {"href", "title", "rel", "id", "class"},
    "code": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "hr": {"class"},
    "img": {"src", "alt", "title", "loading", "decoding", "width", "height"},
    "input": {"type", "checked", "disabled", "class"},
    "li": {"class", "id"},
    "ol": {"class", "start"},
    "pre": {"tabindex"},
    "section": {"class"},
    "source": {"type", "srcset", "sizes"},
    "span": {"class"},
    "sup": {"class"},
    "td": {"class"},
    "th": {"class"},
    "ul": {"class"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
    **{tag: set(maths.ATTRIBUTES) for tag in maths.TAGS},
}
# Values that only this module writes; another value of theirs is none of a text's business.
FIXED = {
    ("a", "rel"): {REL},
    ("pre", "tabindex"): {"0"},
    ("div", "tabindex"): {"0"},
    ("div", "role"): {"region"},
    ("div", "class"): {"highlight", "table-scroll"},
    ("input", "type"): {"checkbox"},
    ("img", "loading"): {"lazy"},
    ("img", "decoding"): {"async"},
    ("source", "type"): {"image/avif", "image/webp", "image/jpeg", "image/png"},
    ("source", "sizes"): {sizes.IN_TEXT},
}


def allowed_value(tag: str, attribute: str, value: str) -> str | None:
    """nh3's attribute filter: the value to keep, or None to drop the attribute."""
    if (tag, attribute) in FIXED:
        return value if value in FIXED[tag, attribute] else None
    if attribute == "srcset":
        return value if sizes.SRCSET.fullmatch(value) else None
    if attribute == "src" and not is_own_address(value):
        return None
    # Footnotes and headings are addressed within the page: the target's id gets the prefix, so must the link.
    if attribute == "href" and value.startswith("#"):
        return f"#{ID_PREFIX}{value[1:]}"
    return value


@cache
def article_cleaner() -> nh3.Cleaner:
    """What articles may hold."""
    return nh3.Cleaner(
        tags=ARTICLE_TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=allowed_value,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        id_prefix=ID_PREFIX,
    )


@cache
def comment_cleaner() -> nh3.Cleaner:
    """What comments may hold."""
    tags = INLINE_TAGS | BLOCK_TAGS
    return nh3.Cleaner(
        tags=tags,
        attributes={tag: names - {"id"} for tag, names in ATTRIBUTES.items() if tag in tags},
        attribute_filter=allowed_value,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


@dataclass(frozen=True)
class Rendered:
    """An article's HTML, and its words without markup and code, for the excerpt and the reading time."""

    html: str
    text: str
    # Pictures without a description, and those of other sites, which became links.
    without_alt: int = 0
    foreign: int = 0


def words_of(tokens: Sequence[Token]) -> str:
    """The text of paragraphs and lists in block `tokens`: no headings, code, tables, footnotes."""
    parts: list[str] = []
    depth = 0
    for token in tokens:
        if token.type in ("heading_open", "table_open", "footnote_block_open"):
            depth += 1
        elif token.type in ("heading_close", "table_close", "footnote_block_close"):
            depth -= 1
        elif token.type == "inline" and not depth:
            parts.append(plain(token.children))
    return re.sub(r"\s+", " ", " ".join(parts)).strip()


def render_article(source: str, pictures: Mapping[str, sizes.Shown] | None = None) -> Rendered:
    """Render the Markdown `source` of an article, with what is known of its `pictures` (uploads.using.pictures_in).

    Any text renders; blog.models caps it at 200 kB.
    """
    parser = article_parser()
    environment: EnvType = {"pictures": pictures or {}}
    tokens = parser.parse(source, environment)
    html = parser.renderer.render(tokens, parser.options, environment)
    return Rendered(
        html=article_cleaner().clean(html).strip(),
        text=words_of(tokens),
        without_alt=environment.get("without_alt", 0),
        foreign=environment.get("foreign", 0),
    )


class TextOfHtml(HTMLParser):
    """Collects the text of HTML that this module made; what is not within a line ends one."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A picture says what is on it; a block begins a line."""
        if tag == "img":
            self.parts.append(f" {dict(attrs).get('alt') or ''} ")
        elif tag not in INLINE_TAGS | PICTURE_TAGS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """A block ends a line."""
        if tag not in INLINE_TAGS | PICTURE_TAGS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """The text itself."""
        self.parts.append(data)


def text_of(html: str) -> str:
    """All text of rendered `html`, code, headings and tables too, one line a block."""
    parser = TextOfHtml()
    parser.feed(html)
    parser.close()
    return re.sub(r"\s*\n\s*", "\n", "".join(parser.parts)).strip()


@dataclass(frozen=True)
class Heading:
    """A heading of a rendered article, and those below it."""

    name: str
    text: str
    below: list[Heading] = field(default_factory=list)


FEWEST_HEADINGS = 3
HEADING = re.compile(r'<h([23]) id="([^"]+)">(.*?)</h\1>', re.DOTALL)


def contents(html: str) -> list[Heading]:
    """The table of contents of an article's HTML: its h2 with their h3; empty for a text of fewer than three."""
    found: list[Heading] = []
    headings = HEADING.findall(html)
    for level, name, inner in headings:
        heading = Heading(unescape(name), unescape(re.sub(r"<[^>]*>", "", inner)))
        (found[-1].below if level == "3" and found else found).append(heading)
    return found if len(headings) >= FEWEST_HEADINGS else []


def render_comment(source: str) -> str:
    """Render the Markdown `source` of a comment to safe HTML."""
    return comment_cleaner().clean(comment_parser().render(source)).strip()


def shortened(text: str, longest: int) -> str:
    """`text` cut to at most `longest` characters, at the end of a sentence, else of a word with an ellipsis."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    ends = [match.end() for match in re.finditer(r"[。！？]|[.!?](?=\s)", cut)]
    if ends and ends[-1] > longest // 2:
        return cut[: ends[-1]]
    space = cut.rfind(" ")
    return (cut[:space] if space > longest * 2 // 3 else cut).rstrip(" ,;:，、；：") + "…"


def reading_minutes(text: str) -> int:
    """Minutes to read `text`, at least 1: 220 words of a spaced script, or 400 characters of Chinese, a minute."""
    characters = len(CJK.findall(text))
    words = len(re.findall(r"\w+", CJK.sub(" ", text)))
    return max(1, round(words / 220 + characters / 400))
