"""No address, whatever is in it, is answered with a server error."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.builders import a_category, a_comment, a_user, an_article

pytestmark = pytest.mark.django_db

ODD = [
    *("\0", "a\0b", "..", "%", "%00", "%ff", "\n", "\r\n", " ", "'", '"', "<", "{{", "-", "x" * 2000),
    *("中文", "🙂", "\u202e", "é", "ſ", "İ", "ａ"),
    *("2026", "0000", "9999", "13", "00", "05", "12", "1", "0", "-1", "9" * 18, "9" * 19, "9" * 300, "1-a-title", "1-"),
    *("nginx", "notes", "ann", "ANN", "admin", "tag", "category", "feed.atom", "null", "__proto__"),
]
parts = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
ROUTES = [
    "/",
    "/{0}/",
    "/{0}",
    "/{0}/{1}/",
    "/{0}/{1}/{2}/",
    "/tag/{0}/",
    "/{0}/tag/{1}/",
    "/{0}/category/{1}/",
    "/{0}/feed.atom",
    "/tag/{0}/feed.rss",
    "/sitemap-{0}.xml",
    "/sitemap-articles.xml",
    "/{0}/articles/{1}",
    "/ann/articles/{0}/",
    "/ann/archive/{0}/{1}",
    "/ann/tag/{0}",
    "/ann/category/{0}",
    "/ann/{0}/",
    "/ann/tag/{0}/",
    "/ann/category/{0}/",
    "/ann/{0}-{1}/",
    "/ann/{0}/{1}/",
    "/2026/{0}/",
    "/{0}/05/",
    "/admin/{0}/{1}/",
    "/admin/blog/article/{0}/change/",
    "/i18n/setlang/",
    "/preferences/theme/",
    "/search/",
    "/feed.atom",
    "/robots.txt",
    "/comments/{0}/",
    "/comments/{0}/edit/",
    "/comments/on/{0}/",
    "/votes/{0}/",
    "/write/comments/",
    "/write/blocked/",
    "/notifications/{0}/",
    "/unsubscribe/{0}/",
    "/static/{0}",
    "/media/{0}",
]
queries = st.dictionaries(
    st.sampled_from(["page", "p", "next", "q", "author", "tag", "theme", "language", "reply", "state", "of", "reader"]),
    parts,
    max_size=2,
)
# A header is bytes to the server; these are the values that proxies let through.
headers = st.dictionaries(
    st.sampled_from(
        ["accept-language", "cookie", "referer", "if-none-match", "if-modified-since", "x-request-id", "range"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    max_size=2,
)


@pytest.fixture
def site() -> None:
    """Something to be found."""
    a_comment(an_article(a_user("ann"), tags=("nginx",), category=a_category(a_user("ann"))))


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), st.tuples(parts, parts, parts), queries, headers)
def test_no_get_is_answered_with_a_server_error(
    site: None, route: str, values: tuple[str, str, str], query: dict[str, str], sent: dict[str, str]
) -> None:
    address = route.format(*(quote(value.encode("utf-8", "replace"), safe="") for value in values))
    client = Client(raise_request_exception=True, headers={"x-forwarded-proto": "https"})
    pairs = {name: value.encode("utf-8", "replace") for name, value in query.items()}
    response = client.get(address, pairs, headers=sent)
    assert response.status_code < 500


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), st.tuples(parts, parts, parts), queries)
def test_no_post_is_answered_with_a_server_error(
    site: None, route: str, values: tuple[str, str, str], fields: dict[str, str]
) -> None:
    address = route.format(*(quote(value.encode("utf-8", "replace"), safe="") for value in values))
    client = Client(raise_request_exception=True, headers={"x-forwarded-proto": "https"})
    pairs = {name: value.encode("utf-8", "replace") for name, value in fields.items()}
    response = client.post(address, pairs)
    assert response.status_code < 500


@pytest.mark.parametrize(
    "address", ["/%00/", "/ann/%00-x/", "/tag/%00/", "/ann/category/%00/", "/2026/13/", "/?page=%00"]
)
def test_nul_and_nonsense_are_404(site: None, client: Client, address: str) -> None:
    assert client.get(address).status_code == 404
