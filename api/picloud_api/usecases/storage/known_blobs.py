"""Known blobs: a cache of those that exist, so that most submits do not ask the blob store."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from picloud_api.store.blob_name import blob_name, digest_of, modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_driver.blob import BlobPort

    from picloud_api.usecases.storage.blob_use import BlobUse

KNOWN_S: Final = 60.0
"""How long a blob counts as present: far less than the time for which a used blob is kept."""
KNOWN_BLOBS: Final = 10_000
KNOWN_BUNDLES: Final = 500


class KnownBlobs:
    """Finds missing blobs, and does not ask again for a minute about those that exist.

    Every call of a function names its modules; asking S3 about them each time took 1.3 ms of a
    call of 6 ms. A blob that was stored a moment ago is not asked about, either: the first call of
    a program with forty modules would ask about each of them twice.
    """

    def __init__(self, blobs: BlobPort, use: BlobUse, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._use = use
        self._clock = clock
        self._seen = _Recent(KNOWN_BLOBS)
        self._kept = _Recent(KNOWN_BLOBS)
        self._whole = _Recent(KNOWN_BUNDLES)
        self._modules: OrderedDict[str, list[str]] = OrderedDict()

    async def keep(self, account: str, digests: Sequence[str]) -> None:
        """Keep blobs that are about to be stored, if they are missing, for a day from now on.

        Raises:
            Unavailable: When one is being deleted, and that takes long.
        """
        now = self._clock()
        await self._use.keep(account, digests)
        for digest in digests:
            self._kept.add(blob_name(account, digest), now)

    def stored(self, account: str, digest: str) -> None:
        """Note that a blob was stored. It is known if it was also kept: nothing deletes it soon."""
        name = blob_name(account, digest)
        if self._kept.has(name, since := self._clock() - KNOWN_S):
            self._seen.add(name, since + KNOWN_S)

    async def missing(self, account: str, digests: Sequence[str], bundle: str = "") -> list[str]:
        """Return the digests under which an account has stored nothing, in the order given.

        The others are kept for a day, and so are the modules of the bundle: a client that sent them
        long ago may only name the bundle.
        """
        now = self._clock()
        names = dict.fromkeys(blob_name(account, digest) for digest in digests)
        unread = bool(bundle) and not self._whole.has(blob_name(account, bundle), now - KNOWN_S)
        if unread:
            modules = await self._modules_of(account, bundle)
            names |= dict.fromkeys(blob_name(account, digest) for digest in modules)
        unknown = [name for name in names if not self._seen.has(name, now - KNOWN_S)]
        missing: list[str] = []
        if unknown:
            await self._use.keep(account, [digest_of(name) for name in unknown])
            missing = await self._blobs.missing(unknown)
        for name in set(unknown).difference(missing):
            self._seen.add(name, now)
        if unread and not missing:
            self._whole.add(blob_name(account, bundle), now)
        return [digest_of(name) for name in missing]

    async def _modules_of(self, account: str, bundle: str) -> list[str]:
        """Return the modules of a bundle, which its digest determines: it is read once."""
        name = blob_name(account, bundle)
        modules = self._modules.pop(name, None)
        if modules is None:
            modules = await modules_of(self._blobs, account, bundle)
        if modules:
            self._modules[name] = modules
            if len(self._modules) > KNOWN_BUNDLES:
                self._modules.popitem(last=False)
        return modules


class _Recent:
    """Names with the time at which something was last true of each; the latest `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, float] = OrderedDict()

    def add(self, name: str, now: float) -> None:
        self._times[name] = now
        self._times.move_to_end(name)
        if len(self._times) > self._most:
            self._times.popitem(last=False)

    def has(self, name: str, since: float) -> bool:
        """Whether it was true after a time."""
        return self._times.get(name, since) > since
