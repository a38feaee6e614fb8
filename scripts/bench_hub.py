"""The loopback Hub of the test suite for whole commands, also behind the one address that hf-mem knows."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from hub_answers import REPO_ID, ROUTES, Handler
from hub_repos import part_of
from hub_server import HubServer, Sparse

HOST = "huggingface.co"


def tree(handler: Handler, repo_id: str, revision: str) -> None:
    """The list of files as hf-mem asks for it."""
    files = handler.server.hub.repos[repo_id].files[handler.server.hub.repos[repo_id].commits[revision]]
    handler._json([{"type": "file", "oid": "0" * 40, "path": name, "size": len(value)} for name, value in files.items()])


def info(handler: Handler, repo_id: str) -> None:
    """A model's page with what accelerate wants to know; hfmem asks for sizes and gets the ordinary answer."""
    if "blobs" in handler.path:
        handler._info(repo_id, "")
        return
    repo = handler.server.hub.repos[repo_id]
    config = repo.files[repo.commits["main"]]["config.json"]
    described = {"config": json.loads(part_of(config, 0, len(config))), "library_name": "transformers"}
    handler._json({"id": repo_id, "sha": repo.commits["main"], "gated": False, "siblings": [], **described})


OF_PEERS = [(rf"/api/models/{REPO_ID}/tree/(?P<revision>[^/]+)", tree), (rf"/api/models/{REPO_ID}", info)]


class Loopback:
    """A Hub with one repository, and a proxy that answers for huggingface.co with it."""

    def __init__(self, hub: HubServer, folder: Path) -> None:
        ROUTES[:0] = [route for route in OF_PEERS if route not in ROUTES]
        self.hub = hub
        self.certificate = make_certificate(folder) if shutil.which("openssl") else None
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def totals(self) -> tuple[int, int]:
        """Requests and body bytes so far."""
        return self.hub.num_requests, sum(seen.body_bytes for seen in self.hub.log)

    def environment(self, home: Path, tool: str) -> dict[str, str]:
        """Variables that lead a tool here with its caches under `home`."""
        home.mkdir(exist_ok=True)
        variables = {**os.environ, **self.hub.environment(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        if tool == "hf-mem" and self.certificate:
            variables["HTTPS_PROXY"] = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
            variables["SSL_CERT_FILE"] = str(self.certificate[0])
        return variables

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Answer CONNECT, end the encryption here, and pass the bytes on to the Hub."""
        assert self.certificate is not None
        with suppress(OSError, ssl.SSLError):
            while b"\r\n\r\n" not in client.recv(65536, socket.MSG_PEEK):
                pass
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            port = urlsplit(self.hub.url).port or 0
            with context.wrap_socket(client, server_side=True) as near, socket.create_connection(("127.0.0.1", port)) as far:
                relay(near, far)


def relay(near: ssl.SSLSocket, far: socket.socket) -> None:
    while True:
        ready = [near] if near.pending() else select.select([near, far], [], [], 30)[0]
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (far if source is near else near).sendall(data)
        if not ready:
            return


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the address, and its key; both gone with the folder."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}"]
    names = ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return certificate, key


def published(directory: Path) -> dict[str, bytes | Sparse]:
    return {path.name: content(path) for path in directory.iterdir()}


def content(path: Path) -> bytes | Sparse:
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(0)
        return Sparse(file.read(8 + length), size=path.stat().st_size)


@contextmanager
def loopback(folder: Path, directory: Path, name: str) -> Iterator[Loopback]:
    """A running Hub that publishes a checkpoint directory under a name."""
    with HubServer() as hub:
        hub.add(name, published(directory))
        yield Loopback(hub, folder)
