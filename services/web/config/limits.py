"""How often somebody may do what can be abused, counted in PostgreSQL and so once for all processes.

A key's window opens with its first use and closes after the rate's seconds; one row a key. Counting is one statement,
which locks that row alone. Call it outside of a transaction: one that is rolled back takes its count with it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from config.resending import sent_by

MINUTE, HOUR, DAY = 60, 3600, 86400


class Rate(NamedTuple):
    """At most `times` within `seconds`."""

    times: int
    seconds: int


class Rates(NamedTuple):
    """What one client address may, and what is allowed to or against one account."""

    address: Rate
    account: Rate | None = None


# An address can be a whole school or company, an account is one person.
RATES = {
    "login": Rates(address=Rate(60, 5 * MINUTE), account=Rate(10, 5 * MINUTE)),
    "code": Rates(address=Rate(30, 5 * MINUTE), account=Rate(10, 5 * MINUTE)),
    "signup": Rates(address=Rate(20, HOUR), account=Rate(5, HOUR)),
    # Those whose browser has not done the work of the form (accounts.signup).
    "signup_unproven": Rates(address=Rate(3, HOUR)),
    "reset": Rates(address=Rate(20, HOUR), account=Rate(5, HOUR)),
    "account": Rates(address=Rate(120, 10 * MINUTE), account=Rate(40, 10 * MINUTE)),
    "comment": Rates(address=Rate(120, 10 * MINUTE), account=Rate(20, 10 * MINUTE)),
    "vote": Rates(address=Rate(600, 10 * MINUTE), account=Rate(120, 10 * MINUTE)),
    "upload": Rates(address=Rate(300, HOUR), account=Rate(100, HOUR)),
    "report": Rates(address=Rate(100, HOUR), account=Rate(20, HOUR)),
}

TAKE = """
INSERT INTO config_limit AS kept (scope, key, used, closes)
VALUES (%(scope)s, %(key)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (scope, key) DO UPDATE SET
    used = CASE WHEN kept.closes <= clock_timestamp() THEN 1 ELSE least(kept.used, 1000000) + 1 END,
    closes = CASE WHEN kept.closes <= clock_timestamp() THEN excluded.closes ELSE kept.closes END
RETURNING used, extract(epoch FROM closes - clock_timestamp())
"""
GIVE_BACK = "UPDATE config_limit SET used = used - 1 WHERE scope = %s AND key = %s AND used > 0"


class LimitReachedError(Exception):
    """Too often; it may be tried again after `seconds`. LimitsMiddleware answers it with 429."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"try again in {seconds} s")
        self.seconds = seconds


def client_key(request: HttpRequest) -> str:
    """Who is counted as one client: an IPv4 address, or the /64 network of an IPv6 one, which is one customer's.

    The address is the one nginx saw (`uwsgi_param REMOTE_ADDR`): no header that a client sends has a part in it.
    """
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)


def digest(key: str) -> str:
    """What is stored of a key: what somebody typed has any length, and is nobody's business."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def take(scope: str, key: str, rate: Rate) -> None:
    """Count one use of `scope` by `key`. Raises LimitReachedError when that is more than `rate` allows."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"scope": scope, "key": digest(key), "seconds": rate.seconds})
        used, remaining = cursor.fetchone()
    if used > rate.times:
        raise LimitReachedError(max(1, math.ceil(remaining)))


def give_back(scope: str, key: str) -> None:
    """Uncount one use: it was not what the limit is for."""
    with connection.cursor() as cursor:
        cursor.execute(GIVE_BACK, [scope, digest(key)])


def take_all(action: str, request: HttpRequest, account: str = "") -> None:
    """Count `action` (one of RATES) for the client's address and for an account. Raises LimitReachedError.

    The account is that of the session or, where nobody is logged in, the one that `account` names: a name or address
    as it was typed, whether there is such an account or not.
    """
    rates = RATES[action]
    take(f"{action}/address", client_key(request), rates.address)
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        account = f"#{user.pk}"
    if rates.account is not None and account:
        take(f"{action}/account", account.strip().casefold(), rates.account)


View = Callable[..., HttpResponseBase]


def limited(action: str, field: str = "") -> Callable[[View], View]:
    """A decorator: each POST to the view counts as `action`; `field` of the form names the account, where one does."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method == "POST":
                take_all(action, request, request.POST.get(field, "") if field else "")
            return view(request, *args, **kwargs)

        return checked

    return decorate


def sweep() -> int:
    """Remove the rows whose windows have closed; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM config_limit WHERE closes <= clock_timestamp()")
        return cursor.rowcount


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """The answer to one request too many: 429, with when to try again and with what was typed."""
    context = {"minutes": math.ceil(seconds / MINUTE), "sent": sent_by(request)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(seconds)
    add_never_cache_headers(response)
    return response


class LimitsMiddleware:
    """Answers LimitReachedError from any view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """429 for a limit that was reached; anything else is not this middleware's."""
        return too_many(request, exception.seconds) if isinstance(exception, LimitReachedError) else None
