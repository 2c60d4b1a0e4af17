"""Fixtures for SMTP: both event loops, certificates of every kind, the unruly server."""

import asyncio
import datetime
import ipaddress
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on both loops: their flow control differs, and the dispatcher runs on the second."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Certificate(NamedTuple):
    context: ssl.SSLContext
    pem: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Certificate]:
    """Return a maker of self-signed certificates; `pem` makes a client trust it."""
    directory = tmp_path_factory.mktemp("certificates")
    made: dict[tuple[str, int], Certificate] = {}

    def make(name: str = "localhost", days: int = 2) -> Certificate:
        if (name, days) not in made:
            made[name, days] = _make(directory / f"{name}{days}.pem", name, days)
        return made[name, days]

    return make


def _make(path: Path, name: str, days: int) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(context, pem.decode())


CHAOS = Path(__file__).resolve().parents[4] / "shared" / "testkit" / "mailworld" / "chaos_smtp.py"


class Chaos(NamedTuple):
    port: int
    journal: Path
    certificate: Path


@pytest.fixture
def chaos(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Chaos]]:
    """Return a starter of the test kit's chaos server."""
    if not CHAOS.exists():
        pytest.skip(f"the test kit is absent: no {CHAOS}")
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Chaos:
        journal, certificate = tmp_path / "chaos.jsonl", tmp_path / "chaos.pem"
        command = [sys.executable, str(CHAOS), "--port", str(free_port), "--journal", str(journal)]
        process = subprocess.Popen(
            [*command, "--cert-out", str(certificate), *options], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("chaos on")
        return Chaos(free_port, journal, certificate)

    yield start
    for process in running:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
