"""Markdown to safe HTML."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import nh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nh3 import Cleaner

from blog.rendering import (
    ARTICLE_TAGS,
    ATTRIBUTES,
    CjkMarkdown,
    article_cleaner,
    comment_cleaner,
    contents,
    reading_minutes,
    render_article,
    render_comment,
    shortened,
)
from uploads.sizes import Shown, sources

GOLDEN = [
    ("**“中文”**强调", "<p><strong>“中文”</strong>强调</p>"),
    ("**强调：**后面", "<p><strong>强调：</strong>后面</p>"),
    ("前面**（括号）**后面", "<p>前面<strong>（括号）</strong>后面</p>"),
    ("中文*强调*中文", "<p>中文<em>强调</em>中文</p>"),
    ("这是**`code`**代码", "<p>这是<strong><code>code</code></strong>代码</p>"),
    ("**Django**是框架。", "<p><strong>Django</strong>是框架。</p>"),
    ("**中文。**English", "<p><strong>中文。</strong>English</p>"),
    ("~~“删除”~~文字", "<p><s>“删除”</s>文字</p>"),
    ("日本語の**「強調」**です", "<p>日本語の<strong>「強調」</strong>です</p>"),
    ("snake_case_word 和 _强调_。", "<p>snake_case_word 和 <em>强调</em>。</p>"),
    ("2 * 3 * 4 ** 5", "<p>2 * 3 * 4 ** 5</p>"),
    ("* 不是强调 *", "<ul>\n<li>不是强调 *</li>\n</ul>"),
]
REL = 'rel="noopener noreferrer nofollow ugc"'


def html(source: str) -> str:
    """An article's HTML."""
    return render_article(source).html


@pytest.mark.parametrize(("source", "expected"), GOLDEN, ids=[source for source, _ in GOLDEN])
def test_emphasis_is_right_beside_chinese(source: str, expected: str) -> None:
    assert html(source) == expected


ascii_markup = st.text(st.sampled_from("ab c*_~`.,!?()-\"'\n1"), max_size=60)


@settings(max_examples=400)
@given(ascii_markup)
def test_text_without_chinese_is_emphasised_exactly_as_commonmark_says(source: str) -> None:
    options = {"html": False}
    assert CjkMarkdown(options).render(source) == MarkdownIt("commonmark", options).render(source)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("见https://example.com/a，后文", "https://example.com/a"),
        ("（https://example.com/）", "https://example.com/"),
        ("看“https://example.com/x”。", "https://example.com/x"),
        ("see https://example.com/a_(b).", "https://example.com/a_(b)"),
        ("(http://example.com)", "http://example.com"),
        ("https://example.com/?q=1&r=2!", "https://example.com/?q=1&amp;r=2"),
        ("https://zh.wikipedia.org/wiki/中文、", "https://zh.wikipedia.org/wiki/%E4%B8%AD%E6%96%87"),
    ],
)
def test_a_bare_address_becomes_a_link_that_ends_with_it(source: str, address: str) -> None:
    assert re.findall(r'href="([^"]*)"', html(source)) == [address]


@pytest.mark.parametrize(
    "source", ["`https://example.com`", "xhttps://example.com", "https://", "javascript://example.com"]
)
def test_what_is_no_bare_address_stays_text(source: str) -> None:
    assert "<a " not in html(source)


def test_an_address_in_a_link_is_not_linked_again() -> None:
    assert html("[https://a.example](https://b.example)").count("<a ") == 1


PAYLOADS = [
    '<a href="javascript:alert(1)">x</a>',
    '<a href="data:text/html,alert(1)">x</a>',
    '<a href="/ok" target="_top" id="main" name="forms">x</a>',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>body{display:none}</style>",
    "<form action=https://evil.example><input name=password></form>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](/media/x.png)',
    '![x](/media/x.png "t\\" onerror=\\"alert(1)")',
    "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    '```"><script>alert(1)</script>\ncode\n```',
    "```x onmouseover=alert(1)\ncode\n```",
    "# x{onclick=alert(1)}",
    '| a" onmouseover="alert(1) |\n|---|\n| b |',
    "[^<script>]: x\n\ny[^<script>]",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
]
ALLOWED = re.compile(
    r"</?(?:a|br|code|del|em|s|span|strong|sub|sup|blockquote|div|li|ol|p|pre|ul|h[2-6]|hr|img|figure|figcaption|input|label"
    r"|section|table|thead|tbody|tr|th|td)"
    r"(?: (?:href|title|rel|id|class|src|alt|loading|decoding|type|checked|disabled|start|tabindex|role|aria-label)"
    r'="[^"<>]*")*>'
)


class Elements(HTMLParser):
    """The elements and attributes of some HTML, as a browser sees them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note them."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def dangerous(self) -> list[str]:
        """The values that would run something."""
        scheme = re.compile(r"\s*(javascript|vbscript|data):", re.IGNORECASE)
        return [value for _name, value in self.attributes if scheme.match(value)]


@pytest.mark.parametrize("render", [html, render_comment], ids=["article", "comment"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_survives(payload: str, render: Callable[[str], str]) -> None:
    output = render(payload)
    assert not re.sub(ALLOWED, "", output).count("<"), output
    assert not Elements(output).dangerous()


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([*PAYLOADS, "**", "中", "\n\n", "`", "[", "](", ">", "| ", "- ", "“"]), max_size=8).map(
        "".join
    )
)
def test_no_mixture_of_payloads_survives(source: str) -> None:
    for output in (html(source), render_comment(source)):
        assert not re.sub(ALLOWED, "", output).count("<"), output


@pytest.mark.parametrize("render", [html, render_comment], ids=["article", "comment"])
def test_the_parser_shows_html_as_the_text_it_is(render: Callable[[str], str]) -> None:
    assert render("a <b>c</b>") == "<p>a &lt;b&gt;c&lt;/b&gt;</p>"


@pytest.mark.parametrize("cleaner", [article_cleaner, comment_cleaner], ids=["article", "comment"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_cleaner_alone_lets_no_payload_through(payload: str, cleaner: Callable[[], Cleaner]) -> None:
    found = Elements(cleaner().clean(f"{payload}<a href='{payload}' onclick=alert(1) style='color:red'>x</a>"))
    assert not found.tags & {"script", "svg", "iframe", "style", "form", "mglyph", "annotation-xml"}
    assert cleaner is article_cleaner or "math" not in found.tags
    assert not [name for name, _value in found.attributes if name.startswith("on") or name == "style"]
    assert not [
        value for _name, value in found.attributes if re.match(r"\s*(javascript|vbscript|data):", value, re.IGNORECASE)
    ]


MARKUP = st.lists(
    st.one_of(
        st.sampled_from(
            [*PAYLOADS, "**", "中", "\n\n", "\n", "`", "```", "[", "](", ">", "| ", "- [x] ", "# ", "[^1]", ": "]
        ),
        st.sampled_from(
            ["$", "$$", "\\text{", "\\begin{matrix}", "https://a.example/，", "\0", "\u202e", "🙂", "&lt;"]
        ),
        st.text(max_size=5),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=300)
@given(MARKUP)
def test_any_text_renders_to_what_the_cleaner_would_leave_as_it_is(source: str) -> None:
    output = html(source)
    tags = {*ARTICLE_TAGS}
    again = nh3.clean(output, tags=tags, attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto"}, link_rel=None)
    assert again == output
    assert all(name.startswith("u-") for name in re.findall(r'<[^>]* id="([^"]*)"', output))
    assert not Elements(output).dangerous()


GOLDEN_FILES = sorted((Path(__file__).parent / "golden").glob("*.md"))


@pytest.mark.parametrize("source", GOLDEN_FILES, ids=lambda path: path.stem)
def test_the_golden_corpus_renders_as_it_did(source: Path) -> None:
    # After a change that is meant: write the new HTML, read the difference, raise rendering.VERSION.
    assert html(source.read_text(encoding="utf-8")) + "\n" == source.with_suffix(".html").read_text(encoding="utf-8")


def test_the_contents_are_the_headings_with_those_below_them() -> None:
    found = contents(html("# 一 `a`\n## B & C\n## D\n# 二"))
    assert [(heading.name, heading.text, [inner.text for inner in heading.below]) for heading in found] == [
        ("u-一-a", "一 a", ["B & C", "D"]),
        ("u-二", "二", []),
    ]


def test_a_short_text_needs_no_contents() -> None:
    assert contents(html("# A\n# B")) == []


def test_the_contents_lead_to_headings_that_are_there() -> None:
    output = html("# A\n# A\n## A\n# 中 文")
    assert {h.name for top in contents(output) for h in [top, *top.below]} == set(re.findall(r' id="([^"]*)"', output))


def test_a_picture_of_another_site_becomes_a_link() -> None:
    assert (
        html("![a cat](https://example.com/cat.png)") == f'<p><a href="https://example.com/cat.png" {REL}>a cat</a></p>'
    )


def test_a_picture_of_another_site_without_scheme_becomes_a_link_too() -> None:
    assert "<img" not in html("![a cat](//example.com/cat.png)")


def test_a_picture_of_this_site_loads_late() -> None:
    assert html("![a](/media/a.png) b") == '<p><img src="/media/a.png" alt="a" loading="lazy" decoding="async"> b</p>'


def test_a_picture_alone_with_a_title_is_a_figure() -> None:
    assert html('![a](/media/a.png "标题")') == (
        '<figure><img src="/media/a.png" alt="a" loading="lazy" decoding="async"><figcaption>标题</figcaption></figure>'
    )


def test_the_highest_heading_is_h2_and_each_has_an_id() -> None:
    assert html("# 一 A\n## B\n## B") == '<h2 id="u-一-a">一 A</h2>\n<h3 id="u-b">B</h3>\n<h3 id="u-b--2">B</h3>'
    assert html("## A\n#### B").startswith('<h2 id="u-a">')


def test_every_id_has_the_prefix_so_that_no_text_takes_one_of_the_page() -> None:
    output = html("# main\n\ntext[^1]\n\n[^1]: note")
    assert all(name.startswith("u-") for name in re.findall(r'id="([^"]*)"', output))


def test_links_within_the_page_follow_the_ids() -> None:
    output = html("# main\n\n[to it](#main) text[^1]\n\n[^1]: note")
    identities = set(re.findall(r'id="([^"]*)"', output))
    assert set(re.findall(r'href="#([^"]*)"', output)) <= identities


def test_a_link_to_another_site_tells_it_nothing() -> None:
    assert html("[x](https://example.com)") == f'<p><a href="https://example.com" {REL}>x</a></p>'


def test_a_link_within_the_site_is_plain() -> None:
    assert html("[x](/ann/)") == '<p><a href="/ann/">x</a></p>'


def test_a_table_scrolls_in_its_own_region_and_aligns_by_class() -> None:
    output = html("| 名 | n |\n|:-:|--:|\n| a | 1 |")
    assert output.startswith('<div class="table-scroll" tabindex="0" role="region" aria-label="名, n"><table>')
    assert '<td class="align-center">a</td>' in output
    assert "style" not in output


def test_code_is_coloured_by_classes_and_reached_by_the_keyboard() -> None:
    output = html("```python\ndef f(): pass\n```")
    assert output.startswith(
        '<div class="highlight"><pre tabindex="0"><code class="language-python"><span class="k">def</span>'
    )
    assert "style" not in output


def test_code_of_an_unknown_language_is_plain() -> None:
    assert html("```nonsense\n<b>\n```") == (
        '<div class="highlight"><pre tabindex="0"><code class="language-nonsense">&lt;b&gt;\n</code></pre></div>'
    )


def test_task_lists_and_footnotes_are_there() -> None:
    box = '<input class="task-list-item-checkbox" checked="checked" disabled="disabled" type="checkbox">'
    assert f"<label>{box} a</label>" in html("- [x] a")
    assert '<section class="footnotes">' in html("a[^1]\n\n[^1]: b")


def test_a_comment_has_no_headings_pictures_or_tables() -> None:
    output = render_comment("# a\n\n![b](/media/b.png)\n\n| c |\n|---|\n| d |")
    assert not re.search(r"<(h\d|img|table)", output)


def test_the_text_of_an_article_is_its_paragraphs() -> None:
    rendered = render_article("# Title\n\nOne *two*.\n\n```\ncode\n```\n\n| t |\n|---|\n| u |\n\n三[^1]\n\n[^1]: note")
    assert rendered.text == "One two. 三"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("One sentence here. And another one that is cut", "One sentence here."),
        ("这是第一句话，不短也不长的一句。这是第二句，会被切断的那一句", "这是第一句话，不短也不长的一句。"),
        ("word " * 20, "word word word word word…"),
    ],
)
def test_an_excerpt_ends_where_a_reader_expects(text: str, expected: str) -> None:
    assert shortened(text, 28) == expected


def test_reading_time_counts_words_and_chinese_characters() -> None:
    assert (reading_minutes(""), reading_minutes("word " * 440), reading_minutes("字" * 800)) == (1, 2, 2)


@pytest.mark.parametrize(
    "source",
    [
        ":" * 100_000,
        "https://" * 12_000,
        "https://a/" + ")" * 100_000,
        "**a " * 25_000,
        "[" * 100_000,
        "![" * 50_000,
        "**中" * 25_000,
        ">" * 100_000,
        "`" * 50_000 + "a",
        "- " * 50_000,
        "[^1]" * 25_000 + "\n\n[^1]: x",
        "|a" * 500 + "\n" + "|-" * 500 + "\n" + ("|b" * 500 + "\n") * 96,
    ],
    ids=lambda source: source[:8],
)
@pytest.mark.timeout(60)
def test_no_large_text_hangs_the_renderer(source: str) -> None:
    assert isinstance(html(source), str)


# --- Pictures in several sizes

PICTURE = "/media/pictures/ab/ab" + "0" * 30
SHOWN = {f"{PICTURE}.jpg": Shown(1000, 500, tuple(sources(f"pictures/ab/ab{'0' * 30}.jpg", 1000)))}


def test_a_picture_has_its_size_and_sources() -> None:
    html = render_article(f"![Sea]({PICTURE}.jpg)", SHOWN).html
    assert html.startswith('<p><picture><source type="image/avif" srcset="')
    assert html.count("<source ") == 3
    assert 'width="1000" height="500"' in html
    assert html.endswith("</picture></p>")


def test_a_figure_may_have_sizes() -> None:
    html = render_article(f'![Sea]({PICTURE}.jpg "The sea")', SHOWN).html
    assert html.startswith("<figure><picture>")
    assert html.endswith("</picture><figcaption>The sea</figcaption></figure>")


@pytest.mark.parametrize(
    "source",
    [
        '<picture><source srcset="https://evil.example/a.png"><img src="https://evil.example/b.png"></picture>',
        '<img src="/media/a.png" srcset="//evil.example/a.png 2x">',
        "![a](https://evil.example/a.png)",
        "![a](//evil.example/a.png)",
        "![a](data:image/svg+xml,<svg/>)",
        "[![a](https://evil.example/a.png)](/x)",
    ],
)
def test_no_text_makes_a_page_ask_another_site(source: str) -> None:
    html = render_article(source).html
    assert not re.search(r"<(?:img|source|picture)[^>]*evil", html)
    assert not re.search(r"<[^>]+srcset", html)


@pytest.mark.parametrize(
    "srcset",
    [
        "https://evil.example/a.jpg 480w",
        f"{PICTURE}-480.avif 480w, https://evil.example/a.jpg 960w",
        f"{PICTURE}-480.avif 480w,//evil.example/a.jpg 960w",
        f"{PICTURE}-480.svg 480w",
        "/media/../x.jpg 480w",
    ],
)
def test_the_second_fence_lets_only_our_own_sizes_through(srcset: str) -> None:
    cleaned = article_cleaner().clean(f'<picture><source type="image/avif" srcset="{srcset}"></picture>')
    assert "srcset" not in cleaned


def test_the_second_fence_lets_our_sizes_through() -> None:
    for source in SHOWN[f"{PICTURE}.jpg"].sources:
        assert source.srcset in article_cleaner().clean(f'<source srcset="{source.srcset}">')
