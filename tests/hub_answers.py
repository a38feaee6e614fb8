"""How the test Hub answers one request: its addresses, its refusals, and what goes wrong on demand."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from hub_repos import Content, Repo, Sparse, digest_of, header_of, part_of

if TYPE_CHECKING:
    from hub_server import HubServer

FLIPPED = "f" * 40
CHUNK = 65536


class Answered(Exception):
    """The answer has been sent already."""


@dataclass(slots=True)
class Fault:
    """What goes wrong on paths that match, so many times."""

    pattern: str
    kind: str
    times: int | None
    details: dict[str, Any]


@dataclass(slots=True)
class Seen:
    """One request as it arrived, and what was sent back."""

    origin: str  # "hub" or "storage"
    method: str
    path: str
    range: str | None
    authorization: str | None
    user_agent: str | None
    status: int = 0
    body_bytes: int = 0


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: HubServer, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub
        self.origin = origin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is what the tests want."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    timeout = 30

    def do_GET(self) -> None:
        hub, headers = self.server.hub, self.headers
        path = self.path.partition("?")[0]
        seen = (self.command, self.path, headers["range"], headers["authorization"], headers["user-agent"])
        self.seen = Seen(self.server.origin, *seen)
        with hub.lock:
            hub.log.append(self.seen)
            self.fault = self._fault_for(path)
        answer = _FAULTS.get(self._kind)
        with suppress(ConnectionError, Answered):
            if answer is None or not answer(self):
                self._route(path)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _fault_for(self, path: str) -> Fault | None:
        for fault in self.server.hub.faults:
            if fault.times != 0 and re.search(fault.pattern, path):
                fault.times = fault.times and fault.times - 1
                return fault
        return None

    def _route(self, path: str) -> None:
        if self.server.origin == "storage":
            repo_id, _, place = unquote(path).removeprefix("/").partition("@")
            self._file(repo_id, place)
            return
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, path):
                answer(self, **{name: unquote(text) for name, text in match.groupdict().items()})
                return
        self._refuse(404, "", "Not Found")

    def _info(self, repo_id: str, revision: str) -> None:
        repo = self._repo(repo_id, f"/api/models/{{}}{'/revision/' + quote(revision, safe='') if revision else ''}")
        commit = self._commit(repo, revision or "main")
        with_sizes = "blobs" in parse_qs(urlsplit(self.path).query)
        siblings = [
            {"rfilename": name, "size": len(content), **digest_of(content)} if with_sizes else {"rfilename": name}
            for name, content in repo.files[commit].items()
        ]
        state = {"gated": "auto" if repo.gated else False, "private": repo.private, "tags": ["license:apache-2.0"]}
        self._json({"id": repo.repo_id, "sha": commit, **state, "siblings": siblings})

    def _list(self) -> None:
        """Pages of ids, the next one named by `Link`."""
        hub, asked = self.server.hub, {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        author, search = asked.get("author", ""), asked.get("search", "").lower()
        names = [name for name in hub.repos if name.startswith(f"{author}/" if author else "") and search in name.lower()]
        start, size = int(asked.get("cursor", 0)), min(hub.page_size, int(asked["limit"]))
        following = {**asked, "cursor": start + size}
        link = f'<{hub.next_origin or hub.url}/api/models?{urlencode(following)}>; rel="next"'
        more = {"Link": link} if start + size < len(names) else {}
        page = json.dumps([{"id": name} for name in names[start : start + size]]).encode()
        self._send(200, page, {"Content-Type": "application/json"} | more)

    def _collection(self, slug: str) -> None:
        if slug in self.server.hub.collections:
            self._json({"slug": slug, "items": self.server.hub.collections[slug]})
        else:
            self._refuse(404, "", "Collection not found")

    def _sharded_headers(self, repo_id: str, index: str) -> None:
        repo = self._repo(repo_id, f"/api/models/{{}}/safetensors-metadata/{index}", content=True)
        commit = repo.commits["main"]
        files = repo.files[commit]
        if not repo.sharded_headers or index not in files:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        listing = json.loads(part_of(files[index], 0, len(files[index])))
        shards = sorted(set(listing.pop("weight_map").values()))
        self._json({"index": listing, "headers": {shard: header_of(files[shard]) for shard in shards}}, commit)

    def _resolve(self, repo_id: str, revision: str, name: str) -> None:
        repo = self._repo(repo_id, f"/{{}}/resolve/{quote(revision, safe='')}/{quote(name)}", content=True)
        commit = self._commit(repo, revision)
        if name not in repo.files[commit]:
            self._refuse(404, "EntryNotFound", "Entry not found", commit)
        elif name.endswith(".safetensors") or isinstance(repo.files[commit][name], Sparse):
            place = quote(f"{repo.repo_id}@{commit}@{name}")
            self._redirect(302, f"{self.server.hub.storage_url}/{place}?signature=s", commit)
        else:
            self._redirect(307, f"/api/resolve-cache/models/{repo.repo_id}/{commit}/{quote(name)}", commit)

    def _resolve_cache(self, repo_id: str, commit: str, name: str) -> None:
        self._file(repo_id, f"{commit}@{name}")

    def _file(self, repo_id: str, place: str) -> None:
        commit, _, name = place.partition("@")
        content = self.server.hub.repos[repo_id].files[commit][name]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["range"] or "")
        etag = hashlib.sha1(place.encode()).hexdigest()
        named = {"X-Repo-Commit": FLIPPED if self._kind == "commit_flip" else commit, "ETag": f'"{etag}"'}
        if asked is None or self._kind == "no_range":
            self._send(200, content, named)
            return
        start, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        shift = 1 if self._kind == "wrong_range" else 0
        more = {"Content-Range": f"bytes {start + shift}-{end - 1 + shift}/{len(content)}", "Accept-Ranges": "bytes"}
        encoding = {"Content-Encoding": "gzip"} if self._kind == "encoded" else {}
        self._send(206, part_of(content, start, end), named | more | encoding)

    def _repo(self, repo_id: str, address: str, *, content: bool = False) -> Repo:
        """The repository; `Answered` when a refusal or a redirect has been sent instead."""
        hub, sent = self.server.hub, (self.headers["authorization"] or "").removeprefix("Bearer ")
        repo = hub.repos.get(repo_id)
        if repo_id in hub.renamed:
            self._redirect(307, address.format(hub.renamed[repo_id]), None)
        elif sent and sent not in hub.tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.private and not sent):
            self._refuse(404 if sent else 401, "RepoNotFound", "Repository not found")
        elif repo.disabled:
            self._refuse(403, "", "Access to this resource is disabled.")
        elif repo.gated and content and sent not in hub.approved:
            self._refuse(403 if sent else 401, "GatedRepo", f"Access to model {repo_id} is restricted.")
        else:
            return repo
        raise Answered

    def _commit(self, repo: Repo, revision: str) -> str:
        commit = revision if revision in repo.files else repo.commits.get(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
            raise Answered
        return commit

    @property
    def _kind(self) -> str:
        return self.fault.kind if self.fault else ""

    def _redirect(self, status: int, target: str, commit: str | None) -> None:
        flipped = FLIPPED if commit and self._kind == "commit_flip" else commit
        self._send(status, b"", {"Location": target} | ({"X-Repo-Commit": flipped} if flipped else {}))

    def _refuse(self, status: int, code: str, message: str, commit: str | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit}
        self._send(status, json.dumps({"error": message}).encode(), {k: v for k, v in headers.items() if v})

    def _json(self, value: Any, commit: str | None = None) -> None:
        flipped = FLIPPED if self._kind == "commit_flip" else commit
        more = {"X-Repo-Commit": flipped} if commit and flipped else {}
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"} | more)

    def _send(self, status: int, content: Content, headers: Mapping[str, str]) -> None:
        self.seen.status = status
        wire = f"HTTP/1.1 {status} .\r\nContent-Length: {len(content)}\r\nRateLimit: {self.server.hub.rate_limit}\r\n"
        wire += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        # The head and the first of the body leave together; two small packets would wait for each other.
        first = b"" if self.command == "HEAD" else part_of(content, 0, min(len(content), CHUNK))
        if status < 300 and self._kind in ("cut", "drip"):
            first = first[: len(first) // 2] if self._kind == "cut" else b""
            self.close_connection = True
        self.seen.body_bytes += len(first)  # before the client can have it and look
        self.wfile.write(wire.encode("latin-1") + b"\r\n" + first)
        if status < 300 and self._kind == "drip":
            self._drip(content)
        elif not self.close_connection and self.command != "HEAD":
            self._rest(content)

    def _rest(self, content: Content) -> None:
        for start in range(CHUNK, len(content), CHUNK):
            part = part_of(content, start, min(len(content), start + CHUNK))
            self.seen.body_bytes += len(part)
            self.wfile.write(part)

    def _drip(self, content: Content) -> None:
        for position in range(len(content)):
            time.sleep(0.02)
            self.wfile.write(part_of(content, position, position + 1))
            self.seen.body_bytes += 1

    # Faults: True where the answer has been given, so that the request goes no further.

    def fault_status(self) -> bool:
        assert self.fault
        self._send(self.fault.details["status"], b"", self.fault.details.get("headers", {}))
        return True

    def fault_reset(self) -> bool:
        self.seen.status = 599
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        return True

    def fault_hang(self) -> bool:
        """The head of an answer, a byte now and then, without end."""
        self.seen.status = 598
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000:
            time.sleep(0.02)
            self.wfile.write(bytes([byte]))
        return True

    def fault_html(self) -> bool:
        self._send(200, b"<html><body>Log in to the hotel's network</body></html>", {"Content-Type": "text/html"})
        return True

    def fault_bomb(self) -> bool:
        self._send(200, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"})
        return True

    def fault_loop(self) -> bool:
        self._redirect(302, self.path, None)
        return True

    def fault_redirect(self) -> bool:
        assert self.fault
        self._redirect(302, self.fault.details["to"], None)
        return True

    def fault_body(self) -> bool:
        assert self.fault
        details = self.fault.details
        self._send(details.get("status", 200), details["body"], details.get("headers", {}))
        return True


_FAULTS = {
    "status": Handler.fault_status,
    "reset": Handler.fault_reset,
    "hang": Handler.fault_hang,
    "html": Handler.fault_html,
    "bomb": Handler.fault_bomb,
    "loop": Handler.fault_loop,
    "redirect": Handler.fault_redirect,
    "body": Handler.fault_body,
}
REPO_ID = r"(?P<repo_id>[\w.\-]+(?:/[\w.\-]+)?)"
ROUTES: list[tuple[str, Any]] = [
    (rf"/api/models/{REPO_ID}/revision/(?P<revision>[^/]+)", Handler._info),
    (rf"/api/models/{REPO_ID}/safetensors-metadata/(?P<index>.+)", Handler._sharded_headers),
    (rf"/api/models/{REPO_ID}(?P<revision>)", Handler._info),
    (r"/api/models", Handler._list),
    (r"/api/collections/(?P<slug>.+)", Handler._collection),
    (r"/api/agent-harnesses", lambda handler: handler._json({})),
    (rf"/api/resolve-cache/models/{REPO_ID}/(?P<commit>[0-9a-f]{{40}})/(?P<name>.+)", Handler._resolve_cache),
    (rf"/{REPO_ID}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler._resolve),
]
