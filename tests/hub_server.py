"""
A Hugging Face Hub on the loopback: the addresses, headers and refusals that clients see, and faults on demand.

    with HubServer() as hub:
        commit = hub.add("org/name", {"config.json": b"{}", "model.safetensors": Sparse(header, size=10**12)})
        with pointed_at(hub, tmp_path):                    # this process; hub.environment(tmp_path) for another one
            ...
        hub.num_requests                                    # a redirect and what it leads to count once
        [seen.path for seen in hub.log if seen.authorization]

    hub.add("org/name", files, revision="refs/pr/1")        # another revision of the same repository
    hub.add("org/name", files, gated=True | private=True | disabled=True | sharded_headers=False)
    hub.rename("old/name", "org/name")
    hub.allow("hf_token")                                   # tokens that open gated and private repositories
    hub.fail(r"/resolve/.*config", "status", status=503, headers={"Retry-After": "1"}, times=1)

Faults: status(status=, headers=), body(body=, status=, headers=), redirect(to=), loop, reset, cut, drip, hang, no_range,
wrong_range, encoded, html, bomb, commit_flip. A fault's pattern is searched
in the path of every request, on the Hub and on its storage alike.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

from hub_answers import FLIPPED, Fault, Seen, Server
from hub_repos import Content, Repo, Sparse, safetensors_head, sharded

__all__ = ["FLIPPED", "Content", "HubServer", "Sparse", "pointed_at", "safetensors_head", "sharded"]

# A proxy of the machine the tests run on is not asked for what is on the loopback.
DIRECT = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")


class HubServer:
    """The Hub and, on a second port, the storage its large files are redirected to."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.approved: set[str] = set()
        self.faults: list[Fault] = []
        self.log: list[Seen] = []
        self.rate_limit = '"api";r=499;t=300'
        self.lock = threading.Lock()
        self.collections: dict[str, list[dict[str, str]]] = {}
        self.page_size = 1000
        self.next_origin: str | None = None  # where a page says the next one is; None is here
        self._servers = [Server(self, origin) for origin in ("hub", "storage")]
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)

    def __enter__(self) -> HubServer:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, repo_id: str, files: Mapping[str, Content], *, revision: str = "main", **state: bool) -> str:
        """Commit files to a revision, replacing what it held; the commit's name is returned."""
        repo = self.repos.setdefault(repo_id, Repo(repo_id))
        for name, value in state.items():
            setattr(repo, name, value)
        commit = hashlib.sha1(f"{repo_id} {revision} {len(repo.files)}".encode()).hexdigest()
        repo.commits[revision] = commit
        repo.files[commit] = dict(files)
        return commit

    def rename(self, old: str, new: str) -> None:
        """Answer requests for the old name with a redirect to the new one."""
        self.renamed[old] = new

    def allow(self, token: str, *, gated: bool = True) -> None:
        """Accept a token, for gated repositories too or not; others are refused as invalid."""
        self.tokens.add(token)
        if gated:
            self.approved.add(token)

    def fail(self, pattern: str, kind: str, *, times: int | None = None, **details: Any) -> None:
        """Let requests whose path matches go wrong, always or so many times."""
        self.faults.append(Fault(pattern, kind, times, details))

    @property
    def num_requests(self) -> int:
        """Requests by what came of them: a redirect and its target count once."""
        with self.lock:
            return sum(not 300 <= seen.status < 400 for seen in self.log)

    def environment(self, home: Path) -> dict[str, str]:
        """The variables that point another process here, with its caches under `home`."""
        places = {"HF_HOME": home, "HOME": home, "HF_ASSETS_CACHE": home / "assets", "HF_HUB_CACHE": home / "hub"}
        return {"HF_ENDPOINT": self.url, **{name: str(place) for name, place in places.items()}, **DIRECT}


@contextmanager
def pointed_at(hub: HubServer | str, home: Path, *, offline: bool = False) -> Iterator[None]:
    """This process's Hub client pointed at a server, with its caches and token under `home`."""
    import huggingface_hub
    from huggingface_hub import constants

    url = hub if isinstance(hub, str) else hub.url
    settings = {
        "ENDPOINT": url,
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
    }
    variables = dict.fromkeys(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"), "")
    with ExitStack() as stack:
        stack.callback(huggingface_hub.close_session)
        stack.enter_context(patch.dict("os.environ", variables | DIRECT | {"HF_ENDPOINT": url}))
        for name, value in settings.items():
            stack.enter_context(patch.object(constants, name, value))
        yield
