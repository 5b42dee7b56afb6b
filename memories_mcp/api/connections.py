"""The connections of the process: one HTTP client for each event loop and host, shared by all keys.

Keys travel in the headers of each request, so that connections need not belong to one of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import ssl
import weakref
from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx2

from memories_mcp.api.retry import ConnectionFailed
from memories_mcp.errors import ConfigurationError, MemoriesError
from memories_mcp.settings import environment

_MAX_CONNECTIONS = 500
_MAX_IDLE_CONNECTIONS = 16
"""The pool of the HTTP client looks at each of them twice a request."""
_LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1"}
_PROXY_EXAMPLE = "a URL such as http://proxy.example:8080"

_CLOCK_CODES = {9, 10}
"""OpenSSL's codes for a certificate that is not yet, or no longer, valid."""
_NAME_CODES = {62, 64}
"""OpenSSL's codes for a certificate of another host name or address."""


class SharedClient:
    """An HTTP client with its users.

    Attributes:
        http: The HTTP client.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self._users: weakref.WeakSet[object] = weakref.WeakSet()

    def add_user(self, user: object) -> None:
        """Keep the connections open until this user leaves or is collected."""
        self._users.add(user)

    def remove_user(self, user: object) -> bool:
        """Remove a user and return whether none is left."""
        self._users.discard(user)
        return not self._users


_Key = tuple[asyncio.AbstractEventLoop, str, httpx2.AsyncBaseTransport | None]

# The users hold the clients: those of a loop that ended without closing them are collected with their users.
_clients: weakref.WeakValueDictionary[_Key, SharedClient] = weakref.WeakValueDictionary()


class Lease:
    """The clients that one user has in use, by event loop and host.

    Args:
        transport: Replaces the network, for tests.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._clients: dict[_Key, SharedClient] = {}

    def client(self, base_url: str) -> httpx2.AsyncClient:
        """Return the client for a host in the running event loop.

        Raises:
            ConfigurationError: A variable for proxies or certificates is invalid.
        """
        key = (asyncio.get_running_loop(), base_url, self._transport)
        client = self._clients.get(key)
        if client is None:
            client = _clients.get(key)
            if client is None:
                client = _clients[key] = SharedClient(_make_client(base_url, self._transport))
            client.add_user(self)
            self._clients = {leased: other for leased, other in self._clients.items() if not leased[0].is_closed()}
            self._clients[key] = client
        return client.http

    async def aclose(self) -> None:
        """Leave all clients; those of the running loop that have no other user are closed."""
        leased, self._clients = self._clients, {}
        loop = asyncio.get_running_loop()
        for key, client in leased.items():
            if client.remove_user(self):
                _clients.pop(key, None)
                if key[0] is loop:
                    await client.http.aclose()


def _make_client(base_url: str, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    # Without TLS there is nothing to verify, and loading the trust store takes 45 ms.
    secure = urlsplit(base_url).scheme.lower() != "http"
    # A proxy that the environment names cannot reach a server on this machine's loopback interface.
    remote = not is_loopback(base_url)
    if remote and transport is None:
        check_proxies()
    connections = _connection_limit()
    try:
        return httpx2.AsyncClient(
            headers={"User-Agent": "memories-mcp"},
            # A cookie that one key received must not be sent with another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            transport=transport,
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=min(connections, _MAX_IDLE_CONNECTIONS)
            ),
            trust_env=remote,
            verify=trusted_certificates() if secure and transport is None else secure,
            follow_redirects=False,  # a redirect could send the key to another host
        )
    except (httpx2.InvalidURL, ValueError, ImportError):
        # The proxies were checked, so this is a host that the environment exempts from them.
        raise ConfigurationError(
            "NO_PROXY is invalid.", next_step="Set it to host names, separated by commas, or remove it."
        ) from None


def _connection_limit() -> int:
    """Return the most connections to one host: at most a quarter of the files that the process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return _MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if files < 0 else max(8, min(_MAX_CONNECTIONS, files // 4))


def is_loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    return urlsplit(url).hostname in _LOOPBACK_HOSTS


def check_proxies() -> None:
    """Check the proxies that the environment names.

    Raises:
        ConfigurationError: One cannot be used; the text names the variable and never its value, which may hold a
            password.
    """
    for variable, value in _proxies():
        try:
            text = value if "://" in value else f"http://{value}"
            url = httpx2.Proxy(text).url
            # The HTTP client accepts hosts and ports that fail later, in the connection.
            valid = bool(re.fullmatch(r"[\w.:-]+", urlsplit(text).hostname or ""))
            valid = valid and (url.port is None or 0 < url.port < 65536)
            url.host.encode("idna")
        except (httpx2.InvalidURL, ValueError):
            valid = False
        if not valid:
            raise ConfigurationError(
                f"{variable} is not the URL of an HTTP or SOCKS5 proxy.",
                next_step=f"Set it to {_PROXY_EXAMPLE} or socks5://proxy.example:1080, or remove it.",
            )
        if value.lower().startswith("socks"):
            _check_socks(variable)


def _check_socks(variable: str) -> None:
    try:
        import socksio  # noqa: F401  # pyright: ignore -- only its presence matters; it has no types
    except ImportError:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, for which the package socksio is missing.",
            next_step=f"Install it beside memories-mcp (pip install socksio), or set {variable} to an HTTP proxy.",
        ) from None


def _proxies(*schemes: str) -> Iterator[tuple[str, str]]:
    """Yield the variable and the value of each proxy that the environment or the system names for these schemes."""
    proxies, environ = getproxies(), environment()
    for scheme in schemes or ("http", "https", "all"):
        if value := proxies.get(scheme):
            # urllib reads the variables in any case.
            names = [name for name in environ if name.lower() == f"{scheme}_proxy" and environ[name] == value]
            yield names[0] if names else "The system's proxy setting", value


def trusted_certificates() -> ssl.SSLContext:
    """Return the TLS settings with the certificates to trust: those that the environment names, else the system's.

    Raises:
        ConfigurationError: The certificates cannot be read; the text names the variable.
    """
    environ = environment()
    variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)), "")
    try:
        if variable == "SSL_CERT_DIR":
            next(iter(_entries(environ[variable])), None)  # OpenSSL ignores a folder that does not exist
        return httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError too, for a file without certificates
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"{variable or 'The trust store'} cannot be used: {reason}.",
            next_step=(
                "Set SSL_CERT_FILE to a PEM file of certificates to trust, SSL_CERT_DIR to a folder of them, or remove "
                "the variable."
            ),
        ) from None


def _entries(folders: str) -> Iterator[str]:
    """Yield the entries of folders in the form of a search path."""
    for folder in folders.split(os.pathsep):
        yield from os.listdir(folder)


def connection_error(error: Exception, url: httpx2.URL) -> MemoriesError:
    """Return the error for a connection that was not established.

    Args:
        error: The HTTP client's error.
        url: The URL of the request.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_error(cause, url.host)
    variables = [] if is_loopback(str(url)) else [variable for variable, _ in _proxies(url.scheme, "all")]
    if isinstance(error, httpx2.ProxyError):
        return _proxy_error(error, url.host, " and ".join(variables) or "the proxy")
    settings = ", ".join(["the network", *variables])
    summary, advice = f"No connection to {url.host}.", f"Check {settings} and MEMORIES_BASE_URL"
    if isinstance(error, httpx2.PoolTimeout):
        summary = f"No connection to {url.host}: too many requests are under way."
        advice = "Try again with fewer calls at a time"
    elif any(isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE} for cause in _causes(error)):
        summary = f"No connection to {url.host}: the process has too many open files."
        advice = "Raise the limit (ulimit -n)"
    elif any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        summary = f"No connection to {url.host}: the TLS handshake failed."
    return ConnectionFailed(summary, next_step=f"{advice}; nothing was sent.")


def certificate_error(error: ssl.SSLCertVerificationError, host: str) -> ConfigurationError:
    """Return the error for a certificate that is not trusted.

    Args:
        error: The error of the TLS library.
        host: The host that was called.
    """
    if error.verify_code in _CLOCK_CODES:
        advice = "Check the clock of this machine."
    elif error.verify_code in _NAME_CODES:
        advice = "Check MEMORIES_BASE_URL."
    else:
        advice = "If your company's proxy signs connections, set SSL_CERT_FILE to the company's CA bundle, a PEM file."
    reason = (getattr(error, "verify_message", "") or "unknown authority").rstrip(".")
    return ConfigurationError(f"The certificate of {host} is not trusted: {reason}.", next_step=advice)


def _proxy_error(error: httpx2.ProxyError, host: str, variables: str) -> MemoriesError:
    status = re.match(r"\d{3}\b", str(error))  # the rest is text of the proxy
    if status and status[0] == "407":
        return ConfigurationError(
            "The proxy refused the connection: it requires another user name and password (HTTP 407).",
            next_step=f"Set them in {variables}: http://user:password@proxy.example:8080.",
        )
    answer = f" (HTTP {status[0]})" if status else ""
    return ConnectionFailed(
        f"The proxy did not connect to {host}{answer}.",
        next_step=f"Check {variables} and MEMORIES_BASE_URL; nothing was sent.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it."""
    seen = list[BaseException]()
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        yield cause
        # The connection pool removes the cause, but not the context.
        pending += [cause.__context__, cause.__cause__]
        if isinstance(cause, BaseExceptionGroup):  # one for each address of the host
            pending += cast(tuple[BaseException, ...], cause.exceptions)
