"""Refuses requests from web pages, and all requests without an access key of this run.

A page in the developer's browser can send requests to 127.0.0.1, and so can every other user of the machine; anyone who
can create a function here can run commands as the developer. Browsers send headers that pages cannot suppress; other
clients need the key, which is random and only visible in the state folder and the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from tools.localcloud import calls, errors
from tools.localcloud.account import Account

MOTO_API = "/moto-api"  # resets moto, among other things


def from_a_page(header: Callable[[str], str | None], port: int) -> str:
    """Why a request seems to come from a web page; "" if it does not.

    A page whose name resolves to 127.0.0.1 (DNS rebinding) sends no Origin, but its name as the host.
    """
    if header("Origin") is not None:
        return "requests with an Origin are refused"
    if header("Sec-Fetch-Site") not in (None, "none"):
        return "requests from web pages are refused"
    if header("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return "requests to another host are refused"
    return ""


class Guard:
    """WSGI middleware in front of everything."""

    def __init__(self, account: Account):
        self._account, self._port = account, int(account.endpoint.rpartition(":")[2])

    def refusal(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        """The response to a refused request."""

        def refused(code: str, message: str) -> Iterable[bytes]:
            return errors.answer(environ, start_response, HTTPStatus.FORBIDDEN, code, f"The local cloud: {message}.")

        def header(name: str) -> str | None:
            return environ.get(f"HTTP_{name.upper().replace('-', '_')}")

        if reason := from_a_page(header, self._port):
            return refused("AccessDenied", reason)
        if not self._account.knows(_key(environ)):
            return refused("InvalidAccessKeyId", "this access key is not from this run; use the one that it printed")
        if environ["PATH_INFO"].startswith(MOTO_API):
            return refused("AccessDenied", "moto's own interface is off")
        return None


def _key(environ: dict[str, Any]) -> str:
    """The access key ID of a signed request, or the one in a request to the local cloud's own interface."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token if scheme == "Bearer" else calls.credential(environ).key
