"""Keeping our token alive: hvac does not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from picloud_driver.vault.gateway import TokenLife, VaultGateway

_log = structlog.get_logger()

_SOONEST_S: Final = 0.5
_AGAIN_S: Final = 5.0
"""Time until a renewal that failed is tried again, in seconds; less for a short-lived token."""


def refuse_mortal(life: TokenLife, where: str) -> None:
    """Accept a token that lives for ever or can be renewed.

    Raises:
        Unavailable: When it will end.
    """
    if life.left_s is not None and not life.renewable:
        raise Unavailable(
            f"{where}: our token ends in {life.left_s} s and cannot be renewed: "
            "give the server a periodic one, as bootstrap makes them."
        )


class Renewal:
    """A thread that renews the gateway's token whenever half of its life is over.

    It ends by itself when there is nothing to do: the token lives for ever, or cannot be renewed.
    What is wrong it logs once, and again after it went well; it goes on trying.

    Args:
        gateway: Asks with the token.
    """

    def __init__(self, gateway: VaultGateway) -> None:
        self._gateway = gateway
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._granted_s: int | None = None
        self._trouble = ""

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vault-token", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End, at the latest when Vault has answered."""
        self._ended.set()

    def _run(self) -> None:
        wait_s: float | None = 0.0
        while wait_s is not None and not self._ended.wait(wait_s):
            wait_s = self._step()

    def _step(self) -> float | None:
        """Renew; the seconds until the next time, or None when there will be none."""
        try:
            if self._granted_s is None and not self._can_be_renewed():
                return None
            life = self._gateway.renew()
        except Unavailable as error:
            self._tell(error.message)
            return max(_SOONEST_S, min(_AGAIN_S, (self._granted_s or _AGAIN_S) / 8))
        return self._renewed(life.left_s or 0)

    def _can_be_renewed(self) -> bool:
        life = self._gateway.token()
        try:
            refuse_mortal(life, self._gateway.where)
        except Unavailable as error:
            self._tell(error.message)
            return False
        return life.left_s is not None

    def _renewed(self, left_s: int) -> float:
        if self._granted_s is None:
            self._granted_s = left_s
        if left_s < self._granted_s:
            self._tell(
                f"{self._gateway.where}: our token ends in {left_s} s and for good: "
                "give the server a periodic one, as bootstrap makes them."
            )
        else:
            self._trouble = ""
        return max(_SOONEST_S, left_s / 2)

    def _tell(self, trouble: str) -> None:
        if not self._trouble:
            _log.warning("vault.token", reason=trouble)
        self._trouble = trouble
