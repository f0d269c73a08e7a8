"""A package index with TLS, and a proxy that knows CONNECT; both remember what was asked. Both are on loopback, unless
the index is given a socket that listens elsewhere."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path, address: str = "127.0.0.1", *names: str) -> tuple[Path, Path]:
    """(certificate, certificate with key) of a host with this address and these names, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an index of a test")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.IPAddress(ipaddress.ip_address(address)), *(x509.DNSName(host) for host in names)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(private + public)
    return folder / "ca.pem", folder / "server.pem"


class Index:
    """The wheels of a folder as a simple index; `password` (`user:word`) where it wants one."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.folder, self.password = folder, password
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str) -> bytes | None:
        """A page or a file; None for 404."""
        self.asked.append(path)
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["simple"] and len(parts) == 2:
            names = [
                p.name for p in sorted(self.folder.iterdir()) if p.name.split("-")[0].replace("_", "-") == parts[1]
            ]
            return "".join(f'<a href="/files/{name}">{name}</a>' for name in names).encode() if names else None
        file = self.folder / parts[-1] if parts[:1] == ["files"] else None
        return file.read_bytes() if file is not None and file.is_file() else None

    def names(self) -> set[str]:
        """The distributions that were asked for."""
        return {path.split("/")[2] for path in self.asked if path.startswith("/simple/")}


@contextmanager
def serving(index: Index, server_pem: Path, listener: socket.socket | None = None) -> Iterator[Index]:
    """The index at an HTTPS address, its `url`; of its own, or where `listener` listens, which stays open."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = "Basic " + base64.b64encode(index.password.encode()).decode()
            if index.password and self.headers.get("Authorization") != wanted:
                self.send_error(401)
                return
            body = index.answer(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if "/simple/" in self.path else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it so
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=listener is None)
    if listener is not None:
        server.socket.close()
        server.socket = listener.dup()
    host, port = server.socket.getsockname()[:2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    with _running(server):
        words = f"{index.password}@" if index.password else ""
        index.url = f"https://{words}{host}:{port}/simple"
        yield index


class Proxy:
    """A CONNECT proxy; `tunnels` are the addresses that it was asked for."""

    def __init__(self) -> None:
        self.tunnels: list[str] = []
        self.url = ""


@contextmanager
def proxying() -> Iterator[Proxy]:
    """A proxy at an HTTP address, its `url`."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            proxy.tunnels.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as there:
                self.send_response(200)
                self.end_headers()
                _between(self.connection, there)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server names it so
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _running(server):
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield proxy


def _between(one: socket.socket, other: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([one, other], [], [], 10)
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
        if not ready:
            return


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
