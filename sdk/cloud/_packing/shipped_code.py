"""The modules of results: fetched from the server when this process cannot import them itself.

They are put at the end of `sys.path`, so that they never take the place of a module that this
machine has. Of two bundles with a module of the same name, the one fetched first counts.
"""

from __future__ import annotations

import importlib
import logging
import sys
from threading import Lock
from typing import TYPE_CHECKING

from picloud_pickle.results import code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from picloud_model.wire import Content

log = logging.getLogger(__name__)


class ShippedCode:
    """Makes the modules of bundles importable in this process.

    Args:
        read: Yields blobs of the account.
    """

    def __init__(self, read: Callable[[Sequence[Content]], Iterator[bytes]]) -> None:
        self._read = read
        self._lock = Lock()

    def provide(self, digests: Sequence[str]) -> bool:
        """Make modules importable; return whether there are more of them now than before.

        Raises:
            PackingError: When the server no longer has them, or they cannot be stored.
            CloudConnectionError: When the server does not answer.
        """
        from cloud._packing.bundle_tree import fetched  # noqa: PLC0415 - few results need modules

        with self._lock:
            missing = [digest for digest in digests if digest not in code.TREES]
            for digest in missing:
                tree = fetched(digest, self._read)
                sys.path.append(str(tree))
                code.TREES.add(digest, str(tree))
                log.debug("modules of bundle %s are imported from %s", digest[:12], tree)
        if missing:
            importlib.invalidate_caches()
        return bool(missing)
