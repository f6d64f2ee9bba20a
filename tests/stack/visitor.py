"""Somebody who uses the site by its forms, as a browser without scripts does, and remembers what was secret."""

from __future__ import annotations

import hashlib
import re
import uuid
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from tests.stack.http import Answer, Client

CSRF = "csrfmiddlewaretoken"


class Forms(HTMLParser):
    """The forms of a page: where each leads, and its fields as they stand."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inside = False
        self.select = self.area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
            self.inside = True
        if not self.inside:
            return
        fields, name = self.found[-1][1], given.get("name", "")
        if tag == "input" and name:
            marked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if marked and given.get("type") not in ("submit", "file"):
                fields[name] = given.get("value", "")
        elif tag == "textarea":
            self.area = name
            fields[name] = ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in given or self.select not in fields):
            fields[self.select] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.area:
            self.found[-1][1][self.area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.area = ""
        elif tag == "select":
            self.select = ""


class Visitor:
    """A browser: cookies, forms, the page it is on as the referrer. `secrets` collects what no log may hold."""

    def __init__(self, client: Client, secrets: dict[str, str]) -> None:
        self.client = client
        self.secrets = secrets
        self.cookies: dict[str, str] = {}
        self.at = "/"
        self.page = ""

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request; a redirect within the site is followed."""
        sent = {"Referer": urljoin(self.client.origin, self.at), "Origin": self.client.origin, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client.request(method, path, body, sent)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name.strip()] = value
            if name in ("sessionid", "csrftoken") and len(value) > 8:
                self.secrets[value] = f"cookie {name}"
        self.at, self.page = path, answer.body.decode(errors="replace")
        for token in re.findall(rf'name="{CSRF}" value="(\w+)"', self.page):
            self.secrets[token] = "a form's token"
        if answer.status in (301, 302, 303):
            parts = urlsplit(urljoin(urljoin(self.client.origin, path), answer.headers["Location"]))
            return self.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        return answer

    def get(self, path: str) -> Answer:
        """A page."""
        return self.request("GET", path)

    def fields(self, *names: str) -> tuple[str, dict[str, str]]:
        """The first form of the page that has all these fields, and the CSRF token."""
        for action, found in Forms(self.page).found:
            if {CSRF, *names} <= set(found):
                return action, found
        raise AssertionError(f"no form with {names} at {self.at}: {self.page[:3000]}")

    def send(self, status: int = 200, **values: str) -> Answer:
        """Fill in the form of the page that has these fields, and send it."""
        action, found = self.fields(*(name for name in values if name != "do"))
        if "data-work" in self.page:
            found["work"] = proof(found["token"], int(re.search(r'data-work="(\d+)"', self.page)[1]))  # type: ignore[index]
        body = urlencode({**found, **values}).encode()
        answer = self.request(
            "POST", urljoin(self.at, action), body, **{"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status == status, (self.at, answer.status, answer.text[:3000])
        return answer

    def upload(self, name: str, content: bytes, **values: str) -> Answer:
        """Send the form of the page that has these fields, with a file in the field `file`."""
        action, found = self.fields(*values)
        boundary = uuid.uuid4().hex
        parts: list[Any] = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in {**found, **values}.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n")
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        return self.request(
            "POST", urljoin(self.at, action), body, **{"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )


def proof(token: str, bits: int) -> str:
    """The proof of work that the sign-up form asks for (accounts/signup.py)."""
    work = 0
    while int.from_bytes(hashlib.sha256(f"{token}:{work}".encode()).digest(), "big") >> (256 - bits):
        work += 1
    return str(work)
