"""The layout: the name of every key, and how the values under it are written.

accounts/<account>                   Account
keys/<key>                           Key
people/<digest>                      PersonRecord
invites/<account>/<digest>           InviteRecord, until it is accepted
resets/<digest>                      PasswordResetRecord, until it is used
audit/<account>/<number>             AuditBlock
audit_extents/<account>              AuditExtent
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
memos/<account>/<digest>             Memo
prices/history                       PriceHistory
budgets/<account>/<digest>           BudgetRecord
grants/<account>                     GrantsRecord
realtime/<account>/<id>              ReservationRecord
ended_realtime/<account>/<id>        EndedReservationRecord, for the usage
realtime_numbers/last                ReservationNumber
slots/<slot>                         Slot
unreferenced/<account>/<digit>       Unreferenced
volumes/<account>/<name>             VolumeRecord
secrets/<account>/<name>             SecretRecord
secret_sources/<name>                SecretSourceRecord
minted_secrets/<account>/<jid>/<attempt>/<id>  MintedRecord, until it is revoked
environments/<account>/<name>        EnvironmentRecord
queues/<account>/<name>              QueueRecord
attachments/<account>/<queue>        AttachmentRecord
endpoints/<account>/<label>          EndpointRecord
endpoint_versions/<account>/<label>/<version>  OldEndpointRecord
call_rates/<account>/<label>         CallRateRecord
warm_slots/<account>/<label>         WarmRecord
webhooks/<account>/<batch>           WebhookRecord, until it is delivered or given up
failed_webhooks/<account>/<batch>    FailedWebhookRecord, for a month
webhook_secrets/<account>            WebhookSecretRecord
dicts/<account>/<name>/<digest>      EntryRecord
dict_versions/<account>              EntryCounter
dict_changes/<account>/<digit>       RemovedChanges, of entries that were deleted
removals/<account>                   RemovalRecord
streams/<account>/<jid>              StreamRecord
chunks/<account>/<jid>/<first>       values of a stream, until they are read
signin/<account>/<digest>            SignInRecord, until it is used
asked/<account>/<batch>/<query>      StoredQuery, while a client waits for the answer
bell/<process>                       ChangeLog
format/number                        the format number, unless it is 1

A record declares the prefix of its keys; those of values that are not records are declared here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from picloud_model.errors import Unavailable
from picloud_model.page import PAGE_JOBS, Page

from picloud_api.store.records import (
    Account,
    BatchId,
    ChangeLog,
    CronRecord,
    Finished,
    Header,
    Key,
    KeyedRecord,
    Memo,
    Ready,
    Slot,
    Span,
    Staged,
    StoredQuery,
    StreamRecord,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_ACCOUNT: Final = "a0000001"
"""The account that the first start creates; the owners of its keys administer the others."""
BLOCK: Final = 100
"""Jids a narrow block of the index covers: each call writes its block, so it is kept small."""
WIDE_BLOCK: Final = 1_000_000
"""Jids a wide block covers; no batch is listed in more than two."""
WIDE_BATCH: Final = 16 * BLOCK
"""Jobs from which on a batch is listed in wide blocks: a transaction takes 64 operations."""

FORMAT: Final = 1
"""The format number of what this version writes. A version whose records the one before must not
read, or must not write again without their new fields, counts it up."""
FORMAT_KEY: Final = "format/number"

_NEXT: Final = "next/"
_JIDS: Final = "jids/"
_PAGES: Final = "pages/"
_PACKS: Final = "packs/"
_CHUNKS: Final = "chunks/"
_SEALED: Final = "sealed/"
"""Of blobs, not of keys."""


class UnreadableRecord(Unavailable):
    """A record that this version cannot read; an API process of a newer version may."""

    def __init__(self, key: str, error: Exception) -> None:
        super().__init__(
            f"The record {key} was written by a newer version of PiCloud, or is damaged: upgrade "
            f"this server, or restore a copy of the data ({error})."
        )


class PageId(NamedTuple):
    """One page of one batch of one account."""

    account: str
    batch: str
    page: int

    @property
    def batch_id(self) -> BatchId:
        """The batch that it is a page of."""
        return BatchId(self.account, self.batch)


def account(name: str) -> str:
    """Return the key of an account."""
    return f"{Account.prefix}{name}"


def key(name: str) -> str:
    """Return the key of an API key."""
    return f"{Key.prefix}{name}"


def next_jid(of: str) -> str:
    """Return the key of an account's jid counter."""
    return f"{_NEXT}{of}"


def block(of: str, jid: int) -> str:
    """Return the key of the narrow index block that covers a jid."""
    return f"{_JIDS}{of}/n{jid // BLOCK:013d}"


def wide_block(of: str, jid: int) -> str:
    """Return the key of the wide index block that covers a jid."""
    return f"{_JIDS}{of}/w{jid // WIDE_BLOCK:010d}"


def blocks(of: str, first: int, last: int) -> list[str]:
    """Return the keys of the index blocks that list a batch with these jids."""
    wide = last - first + 1 >= WIDE_BATCH
    size, name = (WIDE_BLOCK, wide_block) if wide else (BLOCK, block)
    return [name(of, number * size) for number in range(first // size, last // size + 1)]


def header(of: str, batch: str) -> str:
    """Return the key of a batch's header."""
    return f"{Header.prefix}{of}/{batch}"


def page(page_id: PageId) -> str:
    """Return the key of a page."""
    return f"{_PAGES}{page_id.account}/{page_id.batch}/{page_id.page:04d}"


def arguments(of: str, batch: str, first: int) -> str:
    """Return the key of the argument pack that begins with the job at index `first`."""
    return f"{_PACKS}{of}/{batch}/a{first:07d}"


def results(page_id: PageId, number: int) -> str:
    """Return the key of the `number`-th result pack of a page."""
    return f"{_PACKS}{page_id.account}/{page_id.batch}/r{page_id.page:04d}-{number:08d}"


def stored_ahead(of: str, batch: str) -> tuple[str, str]:
    """Return the prefixes of everything that is stored ahead of a submit: packs and pages."""
    return f"{_PACKS}{of}/{batch}/", f"{_PAGES}{of}/{batch}/"


def ready(of: str, batch: str = "") -> str:
    """Return the key of a batch's ready marker; without a batch, the prefix of an account's."""
    return f"{Ready.prefix}{of}/{batch}"


def waiting(of: str, batch: str) -> str:
    """Return the key of what a batch waits for."""
    return f"{Waiting.prefix}{of}/{batch}"


def finished(of: str, batch: str) -> str:
    """Return the key that marks a batch as finished and not sealed yet."""
    return f"{Finished.prefix}{of}/{batch}"


def memo(of: str, name: str) -> str:
    """Return the key of the memo of a digest."""
    return f"{Memo.prefix}{of}/{name}"


def staged(of: str, batch: str) -> str:
    """Return the key of what was sent ahead of a submit."""
    return f"{Staged.prefix}{of}/{batch}"


def cron(of: str, label: str = "") -> str:
    """Return the key of a cron job; without a label, the prefix of all of an account."""
    return f"{CronRecord.prefix}{of}/{label}"


def slot(number: int) -> str:
    """Return the key of a slot."""
    return f"{Slot.prefix}{number:016x}"


def query(of: str, batch: str, number: int = 0, process: str = "") -> str:
    """Return the key of a stored query; without a process, the prefix of those about a batch."""
    name = f"{process}-{number}" if process else ""
    return f"{StoredQuery.prefix}{of}/{batch}/{name}"


def stream(of: str, jid: int | str = "") -> str:
    """Return the key of a job's stream; without a jid, the prefix of all of an account."""
    return f"{StreamRecord.prefix}{of}/{jid}"


def chunk(of: str, jid: int, first: int) -> str:
    """Return the key of the values of a stream from position `first` on."""
    return f"{_CHUNKS}{of}/{jid}/{first:016d}"


def change_log(process: str) -> str:
    """Return the key of the change log of an API process."""
    return f"{ChangeLog.prefix}{process}"


def sealed(page_id: PageId) -> str:
    """Return the name of the blob that a page is sealed in, with all its packs."""
    return f"{_SEALED}{page_id.account}/{page_id.batch}/{page_id.page:04d}"


def sealed_prefix(of: str) -> str:
    """Return the prefix of the names of the blobs that an account's pages are sealed in."""
    return f"{_SEALED}{of}/"


def sealed_page(name: str) -> PageId:
    """Return the page that is sealed in a blob.

    >>> sealed_page("sealed/a1/b1/0002")
    PageId(account='a1', batch='b1', page=2)
    """
    of, batch, number = name.removeprefix(_SEALED).split("/")
    return PageId(of, batch, int(number))


def packs(of: str) -> str:
    """Return the prefix of the keys of an account's packs."""
    return f"{_PACKS}{of}/"


def is_results(name: str) -> bool:
    """Whether a key is that of a result pack."""
    return name.startswith(_PACKS) and name.rpartition("/")[2].startswith("r")


def of_jobs(account: str) -> list[str]:
    """Return the prefixes of the keys that hold an account's jobs."""
    prefixes = (Header.prefix, _PAGES, _PACKS, _JIDS, StreamRecord.prefix, _CHUNKS)
    return [f"{prefix}{account}/" for prefix in prefixes]


def of_blobs(account: str) -> list[str]:
    """Return the prefixes of the names of an account's blobs."""
    return [f"{account}/", sealed_prefix(account)]


def is_page(name: str) -> bool:
    """Whether a key is that of a page."""
    return name.startswith(_PAGES)


def page_of(name: str) -> PageId | None:
    """Return the page that a page's or pack's key belongs to; None for other keys.

    >>> page_of("packs/a1/b1/a0002000"), page_of("packs/a1/b1/r0002-00000007").page
    (PageId(account='a1', batch='b1', page=2), 2)
    """
    batch = batch_of(name)
    if batch is None:
        return None
    last = name.rpartition("/")[2]
    if last[0] == "a":
        return PageId(*batch, int(last[1:]) // PAGE_JOBS)
    return PageId(*batch, int(last.lstrip("r")[:4]))


def batch_of(name: str) -> BatchId | None:
    """Return the batch that a page's or pack's key belongs to; None for other keys.

    >>> batch_of("packs/a1/b1/a0002000"), batch_of("next/a1")
    (BatchId(account='a1', batch='b1'), None)
    """
    if not name.startswith((_PAGES, _PACKS)):
        return None
    _, of, batch, _ = name.split("/")
    return BatchId(of, batch)


def encode(value: Any) -> bytes:
    """Return a record, page, counter or pack as it is stored."""
    if isinstance(value, Page):
        return value.encode()
    if isinstance(value, bytes):
        return value
    return msgspec.msgpack.encode(value)


def decode(name: str, data: bytes) -> Any:
    """Return the value that is stored under a key.

    Raises:
        UnreadableRecord: When this version cannot read it.
    """
    prefix = name[: name.index("/") + 1]
    decoder = _DECODERS.get(prefix)
    if decoder is None:
        decoder = _DECODERS[prefix] = _decoder(_record(prefix))
    try:
        return decoder(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableRecord(name, error) from error


def _record(prefix: str) -> type[KeyedRecord]:
    """Return the record whose keys begin with a prefix; a noun may declare one of its own."""
    return next(record for record in _declared(KeyedRecord) if record.prefix == prefix)


def _declared(kind: type[KeyedRecord]) -> Iterator[type[KeyedRecord]]:
    """Yield the records that derive from a class and declare a prefix."""
    for record in kind.__subclasses__():
        if "prefix" in vars(record):
            yield record
        yield from _declared(record)


def _decoder(kind: Any) -> Callable[[bytes], Any]:
    return msgspec.msgpack.Decoder(kind).decode


_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    _PACKS: bytes,
    _CHUNKS: bytes,
    _PAGES: Page.decode,
    _NEXT: _decoder(int),
    _JIDS: _decoder(list[Span]),
    "format/": _decoder(int),
}
"""Decoders of values that are not records; those of records are found by their prefixes."""
