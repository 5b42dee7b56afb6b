"""Certificates: one that is not trusted is named at once, and so is a variable that points to nothing."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from conftest import error_of, run
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from loopback_servers import http_response, serve

from memories_mcp import errors
from memories_mcp.cli.doctor import Finding, check
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


def write_certificate(folder: Path, *, host: str = "127.0.0.1", expired: bool = False) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "company")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1 if expired else 36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


def tls(paths: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    return context


class Service:
    """The API with its own certificate; counts the connections that got as far as a request."""

    requests = 0

    async def __call__(self, _: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        writer.write(http_response({"sessions": [], "videos": []}))


async def diagnose(base_url: str, tmp_path: Path) -> list[Finding]:
    return [finding async for finding in check(Settings(api_key="sk-x", base_url=base_url), tmp_path, {})]


@pytest.fixture(autouse=True)
def _system_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


async def test_an_unknown_authority_is_named_at_once_and_trusted_by_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = list[object]()
    retry = "memories_mcp.api.retry.should_retry"
    from memories_mcp.api.retry import should_retry

    def counted(error: BaseException, *, repeatable: bool) -> bool:
        attempts.append(error)
        return should_retry(error, repeatable=repeatable)

    monkeypatch.setattr(retry, counted)
    paths, service = write_certificate(tmp_path), Service()
    async with serve(service, tls(paths)) as port:
        url = f"https://127.0.0.1:{port}"
        error = await error_of(url)
        findings = await diagnose(url, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
        runner = Runner(Settings(api_key="sk-x", base_url=url))
        await run(runner, "list_sessions")
        await runner.aclose()
        trusted = await diagnose(url, tmp_path)

    assert "The certificate of 127.0.0.1 is not trusted: self-signed certificate" in error.summary
    assert "SSL_CERT_FILE" in error.next_step
    assert len(attempts) == 1
    assert any("not trusted" in finding.message and "SSL_CERT_FILE" in finding.remedy for finding in findings)
    assert not any("not trusted" in finding.message for finding in trusted)
    assert service.requests >= 1


@pytest.mark.parametrize(
    ("host", "expired", "advice"), [("127.0.0.2", False, "MEMORIES_BASE_URL"), ("127.0.0.1", True, "clock")]
)
async def test_another_fault_of_a_certificate_has_a_remedy_of_its_own(
    host: str, expired: bool, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_certificate(tmp_path, host=host, expired=expired)
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    async with serve(Service(), tls(paths)) as port:
        error = await error_of(f"https://127.0.0.1:{port}")

    assert "certificate of 127.0.0.1 is not trusted" in error.summary
    assert advice in error.next_step


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("SSL_CERT_FILE", "missing.pem"),
        ("SSL_CERT_FILE", "text.pem"),
        ("SSL_CERT_FILE", "folder"),
        ("SSL_CERT_DIR", "missing"),
        ("SSL_CERT_DIR", "text.pem"),
    ],
)
async def test_a_variable_that_points_to_nothing_is_named(
    variable: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv(variable, str(tmp_path / name))
    url = "https://127.0.0.1:9"
    error = await error_of(url)
    findings = await diagnose(url, tmp_path)

    assert isinstance(error, errors.ConfigurationError)
    assert error.summary.startswith(f"{variable} cannot be used")
    assert any(finding.state == "problem" and variable in finding.message for finding in findings)


async def test_a_server_without_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    error = await error_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()

    assert isinstance(error, errors.Unreachable)
    assert "TLS" in error.summary
