"""A browser's side of signing in: cookies kept, redirects not followed."""

from __future__ import annotations

import http.client
import re
import ssl
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from login_server import PASSWORD

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def location(self) -> str:
        return self.headers["Location"] or ""


@dataclass
class Browser:
    address: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: str | bytes = "", **headers: str) -> Answer:
        """Header names are given with _ for -."""
        parts = urlsplit(self.address)
        if parts.scheme == "https":
            context = ssl._create_unverified_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=20, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body or None, sent)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
        connection.close()
        for line in response.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if not morsel.value or morsel["max-age"] == "0":
                    del self.cookies[name]
        return answer

    def sign_in(self, name: str, password: str = PASSWORD, target: str = "/") -> Answer:
        page = self.ask("GET", f"/login?{urlencode({'next': target})}")
        fields = dict(re.findall(r'name="(form|next)" value="([^"]*)"', page.text))
        body = urlencode({**fields, "name": name, "password": password})
        return self.ask("POST", "/login", body, Content_Type=FORM["Content-Type"])
