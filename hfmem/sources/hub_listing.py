"""Lists of models that the Hub has: an author's, what a search finds, and collections."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urlsplit

from huggingface_hub import constants

from hfmem.errors import UsageError
from hfmem.sources import Access
from hfmem.sources.hub_errors import Subject, not_the_hub
from hfmem.sources.hub_identity import origin_of
from hfmem.sources.hub_requests import Answer, Requests
from hfmem.sources.patience import Patience
from hfmem.sources.wording import quoted

MAX_PAGE_BYTES = 64 * 2**20
PAGE = 500
SLUG = re.compile(r"[\w\-.]{1,96}/[\w\-.]{1,300}", re.ASCII)


def list_models(*, author: str | None, search: str | None, limit: int, access: Access) -> Iterator[str]:
    """Ids of models, the most downloaded first, page by page as they are needed."""
    asked = {"author": author, "search": search, "sort": "downloads", "direction": "-1", "limit": min(PAGE, limit)}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    subject = Subject(endpoint=constants.ENDPOINT, repo_id=f"the models of {quoted(author or search or 'everyone')}", revision="")
    pages = read_pages(f"{constants.ENDPOINT}/api/models?{query}", subject, access)
    return islice((repo_id for page in pages for repo_id in ids_in(page, subject)), limit)


def list_collection(slug: str, access: Access) -> Iterator[str]:
    """Ids of the models in a collection, in its order; what else it holds is passed over."""
    subject = Subject(endpoint=constants.ENDPOINT, repo_id=f"the collection {quoted(slug)}", revision="")
    (page,) = islice(read_pages(f"{constants.ENDPOINT}/api/collections/{slug}", subject, access), 1)
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list):
        raise not_the_hub(subject, "a collection has no `items`")
    return ids_in([item for item in items if isinstance(item, dict) and item.get("type") == "model"], subject)


def read_pages(url: str, subject: Subject, access: Access) -> Iterator[Any]:
    """Every page; the next one is only ever asked of the same server, for its address is the server's word."""
    requests = Requests(constants.ENDPOINT, token=access.token, patience=access.patience or Patience())
    seen: set[str] = set()
    following: str | None = url
    while following is not None:
        seen.add(following)
        answer = requests.whole(following, subject, limit=MAX_PAGE_BYTES)
        yield parsed(answer, subject)
        following = answer.next_url
        if following in seen or (following and origin_of(following) != origin_of(url)):
            raise not_the_hub(subject, f"the next page is at {quoted(following or '')}")


def parsed(answer: Answer, subject: Subject) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise not_the_hub(subject, "a list is no JSON") from error


def ids_in(page: object, subject: Subject) -> Iterator[str]:
    if not isinstance(page, list):
        raise not_the_hub(subject, "a list of models is none")
    for entry in page:
        repo_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(repo_id, str):
            raise not_the_hub(subject, "a list holds something else than models")
        yield repo_id  # an odd one is refused where it is opened, and costs no other its row


def collection_slug(text: str) -> str:
    """`owner/title-id` of `hf://collections/owner/title-id` or of its web address. Raises `UsageError` for another one."""
    starts = ("hf://collections/", "https://huggingface.co/collections/", "https://hf.co/collections/")
    slug = next((urlsplit(text.removeprefix(start)).path.strip("/") for start in starts if text.startswith(start)), "")
    if slug.count("/") != 1 or not SLUG.fullmatch(slug):
        raise UsageError(f"{quoted(text)} is no collection", code="bad-list", hint="hf://collections/owner/title-id")
    return slug
