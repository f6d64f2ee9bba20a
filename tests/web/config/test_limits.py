"""Limits, counted in the database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from config import limits
from config.limits import LimitReachedError, Rate, Rates
from tests.web.builders import a_user

RATE = Rate(3, 60)


def a_request(address: str = "192.0.2.1", user: Any = None, **form: str) -> HttpRequest:
    """A POST from that address."""
    request = RequestFactory().post("/", form, REMOTE_ADDR=address)
    request.user = user or AnonymousUser()
    return request


def uses(times: int, key: str = "a", rate: Rate = RATE) -> int:
    """How many of `times` uses were allowed."""
    allowed = 0
    for _turn in range(times):
        try:
            limits.take("test", key, rate)
            allowed += 1
        except LimitReachedError:
            pass
    return allowed


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """An action `test`: three an address, two an account."""
    monkeypatch.setitem(limits.RATES, "test", Rates(Rate(3, 60), Rate(2, 60)))


@pytest.mark.django_db
def test_uses_up_to_the_rate_are_allowed_and_no_more() -> None:
    assert uses(5) == 3


@pytest.mark.django_db
def test_each_key_is_counted_by_itself() -> None:
    assert (uses(5, "a"), uses(5, "b")) == (3, 3)


@pytest.mark.django_db
def test_who_is_refused_learns_when_to_come_back() -> None:
    uses(3)
    with pytest.raises(LimitReachedError) as refused:
        limits.take("test", "a", RATE)
    assert 58 <= refused.value.seconds <= 60


@pytest.mark.django_db
def test_a_new_window_counts_from_the_start() -> None:
    uses(5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE config_limit SET closes = now() - interval '1 second'")
    assert uses(5) == 3


@pytest.mark.django_db
def test_being_refused_does_not_prolong_the_window() -> None:
    uses(9)
    with connection.cursor() as cursor:
        cursor.execute("SELECT closes <= clock_timestamp() + interval '60 seconds', used FROM config_limit")
        assert cursor.fetchone() == (True, 9)


@pytest.mark.django_db
def test_a_use_that_is_given_back_was_none() -> None:
    uses(3)
    limits.give_back("test", "a")
    assert uses(2) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "a\0b", "x" * 10_000, "\u202eadmin", "🙂", "\ud800"])
def test_any_text_can_be_a_key(key: str) -> None:
    assert uses(4, key) == 3


@pytest.mark.django_db
def test_only_closed_windows_are_swept() -> None:
    uses(1, "open")
    uses(1, "closed", Rate(1, 0))
    assert limits.sweep() == 1
    assert limits.sweep() == 0


@pytest.mark.django_db
def test_nothing_that_was_typed_is_stored() -> None:
    limits.take("test", "secret@example.org", RATE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT scope || key FROM config_limit")
        assert "secret" not in cursor.fetchone()[0]


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Rows that other connections see. The table is no model's, so nothing else empties it."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE config_limit")


@pytest.mark.usefixtures("committed")
def test_many_connections_at_once_share_one_count() -> None:
    def attempt(_number: int) -> int:
        try:
            return uses(5, rate=Rate(20, 60))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 20


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "nonsense", True),
    ],
)
def test_a_client_is_an_address_or_a_network_of_one_customer(one: str, other: str, same: bool) -> None:
    assert (limits.client_key(a_request(one)) == limits.client_key(a_request(other))) is same


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded", "client-ip"])
def test_no_header_of_the_client_changes_the_address(header: str) -> None:
    request = RequestFactory().post("/", headers={header: "198.51.100.7"}, REMOTE_ADDR="192.0.2.1")
    assert limits.client_key(request) == "192.0.2.1"


@pytest.mark.django_db
@pytest.mark.usefixtures("rates")
def test_one_address_may_not_try_many_accounts() -> None:
    for number in range(3):
        limits.take_all("test", a_request(), account=f"account{number}")
    with pytest.raises(LimitReachedError):
        limits.take_all("test", a_request(), account="another")


@pytest.mark.django_db
@pytest.mark.usefixtures("rates")
def test_many_addresses_may_not_try_one_account_whatever_its_case() -> None:
    limits.take_all("test", a_request("192.0.2.1"), account="Ann")
    limits.take_all("test", a_request("192.0.2.2"), account="ann ")
    with pytest.raises(LimitReachedError):
        limits.take_all("test", a_request("192.0.2.3"), account="ANN")


@pytest.mark.django_db
@pytest.mark.usefixtures("rates")
def test_who_is_logged_in_is_counted_as_that_account_from_every_address() -> None:
    for number in (1, 2):
        limits.take_all("test", a_request(f"192.0.2.{number}", a_user("ann")), account="somebody else")
    with pytest.raises(LimitReachedError):
        limits.take_all("test", a_request("192.0.2.3", a_user("ann")))


@pytest.mark.django_db
@pytest.mark.usefixtures("rates")
def test_the_decorator_counts_what_is_posted_and_leaves_reading_free() -> None:
    @limits.limited("test", "name")
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    for _turn in range(5):
        view(RequestFactory().get("/"))
    view(a_request(name="ann"))
    view(a_request(name="ann"))
    with pytest.raises(LimitReachedError):
        view(a_request(name="ann"))


def test_the_answer_is_429_with_a_page_that_says_when_to_come_back() -> None:
    middleware = limits.LimitsMiddleware(lambda _request: HttpResponse())
    response = middleware.process_exception(a_request(), LimitReachedError(90))
    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (429, "90")
    assert "in 2 minutes" in response.content.decode()
    assert "no-store" in response["Cache-Control"]
