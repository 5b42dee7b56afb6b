"""An identity provider on loopback: its metadata, its keys, and access tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "https://mcp.example.com/mcp"
METADATA = "/.well-known/oauth-authorization-server/company"
OPENID = "/company/.well-known/openid-configuration"
KEYS = "/company/keys"
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class IdentityProvider:
    """Signs tokens, and answers the requests of a server that checks them.

    Attributes:
        issuer: The identifier.
        answers: The status and the body of each path.
        requests: The paths that were asked for.
    """

    def __init__(self, url: str) -> None:
        self.issuer = f"{url}/company"
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.requests: list[str] = []
        self._keys: dict[str, tuple[str, PrivateKey]] = {}
        self._published: list[dict[str, Any]] = []
        self.publish(METADATA, {"issuer": self.issuer, "jwks_uri": f"{url}{KEYS}"})
        self.add_key("first")

    def publish(self, path: str, document: object, status: int = 200) -> None:
        self.answers[path] = status, json.dumps(document).encode()

    def add_key(self, name: str, algorithm: str = "ES256", **changes: Any) -> None:
        """Make a key and publish it."""
        key, jwk = _make_key(algorithm)
        self._keys[name] = algorithm, key
        self._published.append({**jwk, "kid": name, "use": "sig", **changes})
        self.publish(KEYS, {"keys": self._published})

    def remove_keys(self) -> None:
        self._published.clear()

    def claims(self, subject: str = "alice", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300,
            "scope": "memories:read memories:write",
        }  # fmt: skip
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, subject: str = "alice", *, key: str = "first", kid: str | None = "", **claims: Any) -> str:
        """Sign a token; a claim that is `None` is left out."""
        algorithm, private = self._keys[key]
        headers = {} if kid is None else {"kid": kid or key}
        # Not `jwt.encode`, which refuses claims of a wrong type.
        return jwt.PyJWS().encode(json.dumps(self.claims(subject, **claims)).encode(), private, algorithm, headers)


def _make_key(algorithm: str) -> tuple[PrivateKey, dict[str, Any]]:
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        return key, ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    if algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        return key, OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    key = rsa.generate_private_key(65537, 2048)
    return key, RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)


@contextmanager
def run_identity_provider() -> Generator[IdentityProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.requests.append(self.path)
            status, body = provider.answers.get(self.path, (404, b"not here"))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
