"""No address, whatever is in it and whatever is sent to it, by whomever, is answered with a server error.

The addresses come from the URL resolver and the fields from the forms that the pages show (tests.web.routes), so what
is added to the site is in here without a word.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.routes import PART, World, own_routes, routes, undone
from tests.web.test_permissions import TABLE

pytestmark = pytest.mark.django_db

ODD = [
    *("\0", "a\0b", "..", "%", "%00", "%ff", "\n", "\r\n", " ", "'", '"', "<", "{{", "-", "", "x" * 2000),
    *("中文", "🙂", "\u202e", "\u202egnp.exe", "é", "ſ", "İ", "ａ", "\ud800", "\ufeff", "١٢٣", "１２", "²", "Ⅻ"),
    *("2026", "0000", "9999", "13", "00", "05", "12", "1", "0", "-1", "1.5", "1e9", "NaN", "9" * 18, "9" * 19),
    *("9" * 300, "1-a-title", "1-", "nginx", "notes", "ann", "ANN", "admin", "tag", "category", "feed.atom", "null"),
    *("__proto__", "[]", "{}", "true", "on", "//evil.example/", "/\\evil.example", "javascript:alert(1)"),
    *("0001-01-01T00:00", "9999-12-31T23:59", "2026-02-30T25:61", "00000000-0000-0000-0000-000000000000"),
]
odd = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
PEOPLE = ("anonymous", "other", "owner", "staff")
ADMIN = [path for path in routes() if path.startswith("admin/blog/") and path.endswith(("/add/", "/change/"))]
QUERY = ["page", "p", "next", "q", "author", "tag", "category", "state", "with", "key", "unsaved", "theme", "language"]
HEADERS = ["accept-language", "referer", "if-none-match", "if-modified-since", "x-request-id", "range", "origin"]
COOKIES = ["sessionid", "csrftoken", "messages", "theme", "django_language"]
queries = st.dictionaries(st.sampled_from(QUERY), odd, max_size=2)
# A header is bytes to the server; these are the values that proxies let through.
line = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
headers = st.dictionaries(st.sampled_from(HEADERS), line, max_size=2)
unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def sent(value: str) -> bytes:
    """A text as a client could send it, lone surrogates as bytes that are no UTF-8."""
    return value.encode("utf-8", "surrogatepass")


class Fields(HTMLParser):
    """The fields of a page's forms with the values that the page gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect inputs, buttons, text areas, and the chosen options."""
        found = dict(attributes)
        name = found.get("name") or ""
        if tag in ("input", "button", "textarea", "select") and name not in ("", "csrfmiddlewaretoken"):
            self.values.setdefault(name, found.get("value") or "")
            self.select = name if tag == "select" else ""
        elif tag == "option" and self.select and "selected" in found:
            self.values[self.select] = found.get("value") or ""


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send from `page`, without its token."""
    parser = Fields()
    parser.feed(page)
    return parser.values


@pytest.fixture
def browsers(world: World) -> dict[str, Client]:
    """The browser of each of PEOPLE; an exception in a view is the test's."""
    found = {person: Client(headers={"x-forwarded-proto": "https", "host": "testserver"}) for person in PEOPLE}
    for person, browser in found.items():
        world.log_in(browser, person)
    return found


@pytest.fixture
def forms(world: World, browsers: dict[str, Client]) -> dict[str, dict[str, str]]:
    """The fields of the page at each address; of all pages where an address has no page of its own."""
    pages = {}
    for path in [*own_routes(), *ADMIN]:
        browser = browsers["staff" if path in ADMIN else "owner"]
        with undone(browser):
            response = browser.get(world.address(path))
        html = response.headers.get("Content-Type", "").startswith("text/html") and not response.streaming
        pages[path] = fields_of(response.text) if response.status_code == 200 and html else {}
    everything = {name: value for found in pages.values() for name, value in found.items()}
    return {path: found or everything for path, found in pages.items()}


def filled(world: World, path: str, values: list[str | None]) -> str:
    """The address of `path` with `values` in its variable parts; None for the one that leads somewhere."""
    known = iter(values)
    there = world.values(path)

    def value(part: Any) -> str:
        odd_one = next(known, None)
        return quote(sent(str(there[part[1]]) if odd_one is None else odd_one), safe="")

    return "/" + PART.sub(value, path)


@pytest.fixture(autouse=True)
def no_files(settings: Any, tmp_path: Any) -> None:
    """What is uploaded goes where nobody minds."""
    settings.MEDIA_ROOT = tmp_path


paths = st.sampled_from([*own_routes(), *ADMIN])
parts = st.lists(st.one_of(st.none(), odd), max_size=3)


@settings(max_examples=200, suppress_health_check=unhealthy)
@given(paths, parts, queries, headers, st.sampled_from(PEOPLE))
def test_no_get_is_answered_with_a_server_error(
    world: World,
    browsers: dict[str, Client],
    path: str,
    values: list[str | None],
    query: dict[str, str],
    more: dict[str, str],
    person: str,
) -> None:
    pairs = {name: sent(value) for name, value in query.items()}
    with undone(browsers[person]):
        assert browsers[person].get(filled(world, path, values), pairs, headers=more).status_code < 500


@settings(max_examples=200, suppress_health_check=unhealthy)
@given(paths, parts, st.data(), st.sampled_from(PEOPLE))
def test_no_post_is_answered_with_a_server_error(
    world: World,
    browsers: dict[str, Client],
    forms: dict[str, dict[str, str]],
    path: str,
    values: list[str | None],
    data: st.DataObject,
    person: str,
) -> None:
    fields: dict[str, Any] = {name: sent(value) for name, value in forms[path].items()}
    if fields:
        names = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)
        for name in data.draw(names):
            fields[name] = data.draw(
                st.one_of(
                    odd.map(sent),
                    st.lists(odd.map(sent), max_size=3),
                    st.just(SimpleUploadedFile("x\u202e.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
                )
            )
        for name in data.draw(names):
            fields.pop(name)
    with undone(browsers[person]):
        assert browsers[person].post(filled(world, path, values), fields).status_code < 500


# Those that look at what they are sent at all.
TAKERS = [path for path, cells in TABLE.items() if not cells["owner"].endswith("405")]
MULTIPART = "multipart/form-data; boundary=x"
BODIES = {
    "bytes that are no UTF-8": (b"title=%ff%fe&body=\xff\xfe&q=\x80", "application/x-www-form-urlencoded"),
    "NUL in names": (b"%00=%00&a%00b=1&title=%00", "application/x-www-form-urlencoded"),
    "a list": (b"title=a&title=b&version=1&version=2", "application/x-www-form-urlencoded"),
    "1,001 fields": (b"&".join(b"f%d=1" % number for number in range(1001)), "application/x-www-form-urlencoded"),
    "3 MB": (b"body=" + b"x" * 3_000_000, "application/x-www-form-urlencoded"),
    "a boundary that never comes": (b"--y\r\nContent-Disposition: form-data; name=a\r\n\r\n1", MULTIPART),
    "no boundary": (b"--x\r\n", "multipart/form-data"),
    "a part that ends early": (b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nc', MULTIPART),
    "a part in broken base64": (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n*\r\n--x--',
        MULTIPART,
    ),
    "JSON": (b'{"title": [1, null]}', "application/json"),
    "an unknown charset": (b"a=1", "application/x-www-form-urlencoded; charset=nonsense"),
    "a type that is none": (b"\0", "\xff/\xff"),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_body_is_answered_with_a_server_error(world: World, browsers: dict[str, Client], name: str) -> None:
    body, kind = BODIES[name]
    for path in TAKERS:
        with undone(browsers["owner"]):
            status = browsers["owner"].generic("POST", world.address(path), body, kind).status_code
            assert status < 500, f"{path} answers {status}"


@pytest.mark.parametrize("query", ["page=%ff%fe&q=%F0%9F%99&=&&", "page=1&page=abc&q=%00&%ff=%ff"])
def test_no_query_is_answered_with_a_server_error(world: World, browsers: dict[str, Client], query: str) -> None:
    for path in own_routes():
        with undone(browsers["owner"]):
            status = browsers["owner"].get(world.address(path), QUERY_STRING=query).status_code
        assert status < 500, f"{path} answers {status}"


@pytest.mark.parametrize("value", ["x" * 5000, "\xff\xfe", '"\\000"; x=\x80'])
def test_no_cookie_is_answered_with_a_server_error(world: World, client: Client, value: str) -> None:
    client.raise_request_exception = True
    for path in own_routes():
        cookies = "; ".join(f"{name}={value}" for name in COOKIES)
        status = client.get(world.address(path), headers={"cookie": cookies}).status_code
        assert status < 500, f"{path} answers {status}"


@pytest.mark.parametrize("address", ["/%ff%fe/", "/ann/%ff/", "/tag/%ff/", "/%F0%9F/", "/static/%ff", "/media/%00"])
def test_bytes_that_are_no_utf8_are_no_address(world: World, client: Client, address: str) -> None:
    assert client.get(address).status_code in (400, 404)


@pytest.mark.parametrize(
    "address", ["/%00/", "/ann/%00-x/", "/tag/%00/", "/ann/category/%00/", "/2026/13/", "/?page=%00", "/?page=abc"]
)
def test_nul_and_nonsense_are_404(world: World, client: Client, address: str) -> None:
    assert client.get(address).status_code == 404
