"""The loopback Hub with every repository of a comparison, and the variables that lead each tool to it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench_hub import HOST, ROUTES, Loopback
from hub_answers import REPO_ID, Handler
from hub_repos import Content, header_of, part_of
from hub_server import HubServer

COUNTED: set[str] = set()  # repositories whose headers are whole, so that the Hub counts their parameters


def page(handler: Handler, repo_id: str) -> None:
    """A model's page as the Hub shows it: files, configuration, library, and parameters where headers are whole."""
    if "blobs" in handler.path:
        handler._info(repo_id, "")
        return
    repo = handler._repo(repo_id, "/api/models/{}")
    files = repo.files[repo.commits["main"]]
    config = files["config.json"]
    answer = {
        "id": repo_id,
        "sha": repo.commits["main"],
        "gated": False,
        "library_name": "transformers",
        "siblings": [{"rfilename": name} for name in files],
        "config": json.loads(part_of(config, 0, len(config))),
    }
    if repo_id in COUNTED:
        answer["safetensors"] = parameters(files)
    handler._json(answer)


def parameters(files: Mapping[str, Content]) -> dict[str, object]:
    """Elements of each dtype and all together, as the Hub counts them."""
    counts: dict[str, int] = {}
    for name, held in files.items():
        for entry in header_of(held).values() if name.endswith(".safetensors") else ():
            if "dtype" in entry:
                counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + math.prod(entry["shape"])
    return {"parameters": counts, "total": sum(counts.values())}


class Patient(Handler):
    """Sends a whole body also to a client that wants the connection closed after it."""

    def _send(self, status: int, content: Content, headers: Mapping[str, str]) -> None:
        closing, self.close_connection = self.close_connection, False
        super()._send(status, content, headers)
        self.close_connection = closing


ROUTES[:0] = [(rf"/api/models/{REPO_ID}", page)]


@contextmanager
def hub_of(folder: Path, repos: Mapping[str, Mapping[str, Content]], counted: set[str]) -> Iterator[Loopback]:
    """A running Hub with these repositories."""
    COUNTED.update(counted)
    with HubServer() as hub:
        for server in hub._servers:
            server.RequestHandlerClass = Patient
        for name, files in repos.items():
            hub.add(name, files)
        yield Loopback(hub, folder)


def environment(hub: Loopback, home: Path, *, needs_https: bool) -> dict[str, str]:
    """Where a tool finds the Hub: at HF_ENDPOINT, or behind the one address it knows or the https it insists on."""
    if not needs_https:
        return hub.environment(home, "")
    return hub.environment(home, "hf-mem") | {"HF_ENDPOINT": f"https://{HOST}"}
