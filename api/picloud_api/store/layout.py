"""The layout: the name of every key, and how the values under it are written.

accounts/<account>                   Account
keys/<key>                           Key
next/<account>                       the next jid
jids/<account>/n<jid // 100>         spans of the batches with jids in that block
jids/<account>/w<jid // 1000000>     the same, of batches too large to be listed so often
batches/<account>/<batch>            Header
pages/<account>/<batch>/<page>       Page
packs/<account>/<batch>/a<first>     argument pack
packs/<account>/<batch>/r<page>-<n>  result pack
ready/<account>/<batch>              Ready
waiting/<account>/<batch>            Waiting, until what it depends on has ended
finished/<account>/<batch>           Finished, until it is sealed
staged/<account>/<batch>             Staged
slots/<slot>                         Slot
asked/<account>/<batch>/<question>   StoredQuery, while somebody waits for the answer
bell/<process>                       ChangeLog
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from picloud_model.page import PAGE_JOBS, Page

from picloud_api.store.records import (
    Account,
    ChangeLog,
    Finished,
    Header,
    Key,
    Ready,
    Slot,
    Span,
    Staged,
    StoredQuery,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK: Final = 100
"""Jids a narrow block of the index covers: each call writes its block, so it is kept small."""
WIDE_BLOCK: Final = 1_000_000
"""Jids a wide block covers; no batch touches more than two."""
READY: Final = "ready/"
"""Prefix of every batch with unfinished jobs."""
WAITING: Final = "waiting/"
"""Prefix of every batch that waits for others."""
WIDE_BATCH: Final = 16 * BLOCK
"""Jobs from which on a batch is listed in wide blocks: a transaction takes 64 operations."""


def account(name: str) -> str:
    """Key of an account."""
    return f"accounts/{name}"


def key(name: str) -> str:
    """Key of an API key."""
    return f"keys/{name}"


def next_jid(of: str) -> str:
    """Key of an account's jid counter."""
    return f"next/{of}"


def block(of: str, jid: int) -> str:
    """Key of the narrow index block a jid lies in."""
    return f"jids/{of}/n{jid // BLOCK:013d}"


def wide_block(of: str, jid: int) -> str:
    """Key of the wide index block a jid lies in."""
    return f"jids/{of}/w{jid // WIDE_BLOCK:010d}"


def blocks(of: str, first: int, last: int) -> list[str]:
    """Keys of the index blocks that list a batch with these jids."""
    wide = last - first + 1 >= WIDE_BATCH
    size, name = (WIDE_BLOCK, wide_block) if wide else (BLOCK, block)
    return [name(of, number * size) for number in range(first // size, last // size + 1)]


def header(of: str, batch: str) -> str:
    """Key of a batch's header."""
    return f"batches/{of}/{batch}"


class PageId(NamedTuple):
    """Which page of which batch of which account."""

    account: str
    batch: str
    page: int


def page(place: PageId) -> str:
    """Key of a page."""
    return f"pages/{place.account}/{place.batch}/{place.page:04d}"


def arguments(of: str, batch: str, first: int) -> str:
    """Key of the argument pack that begins at index `first`."""
    return f"packs/{of}/{batch}/a{first:07d}"


def results(place: PageId, number: int) -> str:
    """Key of the `number`-th result pack of a page."""
    return f"packs/{place.account}/{place.batch}/r{place.page:04d}-{number:08d}"


def ready(of: str, batch: str = "") -> str:
    """Key of a batch's ready marker; without a batch, the prefix of an account's."""
    return f"{READY}{of}/{batch}"


def waiting(of: str, batch: str) -> str:
    """Key that says what a batch waits for."""
    return f"{WAITING}{of}/{batch}"


def finished(of: str, batch: str) -> str:
    """Key that says that a batch is finished and waits to be sealed."""
    return f"finished/{of}/{batch}"


def sealed(place: PageId) -> str:
    """Name of the blob a page lies in once it is sealed, with all its packs."""
    return f"sealed/{place.account}/{place.batch}/{place.page:04d}"


def place_of(name: str) -> PageId | None:
    """The page that a page's or pack's key belongs to; None for other keys.

    >>> place_of("packs/a1/b1/a0002000"), place_of("packs/a1/b1/r0002-00000007").page
    (PageId(account='a1', batch='b1', page=2), 2)
    """
    kind, _, rest = name.partition("/")
    if kind not in {"pages", "packs"}:
        return None
    of, batch, part = rest.split("/")
    if part[0] == "a":
        return PageId(of, batch, int(part[1:]) // PAGE_JOBS)
    return PageId(of, batch, int(part.lstrip("r")[:4]))


def staged(of: str, batch: str) -> str:
    """Key of what was sent ahead of a submit."""
    return f"staged/{of}/{batch}"


def slot(number: int) -> str:
    """Key of a slot."""
    return f"slots/{number:016x}"


def asked(of: str, batch: str, number: int = 0, process: str = "") -> str:
    """Key of a question about a job that runs; without a process, the prefix of a batch's."""
    return f"asked/{of}/{batch}/{process}-{number}" if process else f"asked/{of}/{batch}/"


def change_log(process: str) -> str:
    """Key of an API process's bell."""
    return f"bell/{process}"


def encode(value: Any) -> bytes:
    """A record, page, counter or pack as stored."""
    if isinstance(value, Page):
        return value.encode()
    if isinstance(value, bytes):
        return value
    return msgspec.msgpack.encode(value)


def decode(name: str, data: bytes) -> Any:
    """What `encode` wrote under a key."""
    return _DECODERS[name.partition("/")[0]](data)


_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "packs": bytes,
    "pages": Page.decode,
    **{
        prefix: msgspec.msgpack.Decoder(kind).decode
        for prefix, kind in {
            "accounts": Account,
            "keys": Key,
            "next": int,
            "jids": list[Span],
            "batches": Header,
            "ready": Ready,
            "waiting": Waiting,
            "finished": Finished,
            "staged": Staged,
            "slots": Slot,
            "asked": StoredQuery,
            "bell": ChangeLog,
        }.items()
    },
}
