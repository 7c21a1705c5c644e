"""Renewal of the server's token, which hvac leaves to its user."""

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
"""Time until a failed renewal is repeated, in seconds; less for a short-lived token."""


def require_renewable(life: TokenLife, where: str) -> None:
    """Return if a token never expires or can be renewed.

    Raises:
        Unavailable: When it will expire.
    """
    if life.remaining_s is not None and not life.renewable:
        raise Unavailable(
            f"{where}: our token ends in {life.remaining_s} s and cannot be renewed: "
            "give the server a periodic one, as bootstrap makes them."
        )


class Renewal:
    """A thread that renews the gateway's token whenever half of its life is over.

    It ends by itself if the token never expires or cannot be renewed. It logs a problem once, and
    again after a success; it never stops trying.

    Args:
        gateway: The gateway that uses the token.
    """

    def __init__(self, gateway: VaultGateway) -> None:
        self._gateway = gateway
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._granted_s: int | None = None
        self._problem = ""

    def start(self) -> None:
        """Start the thread, unless it was started."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vault-token", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread, at the latest when Vault has answered."""
        self._ended.set()

    def _run(self) -> None:
        wait_s: float | None = 0.0
        while wait_s is not None and not self._ended.wait(wait_s):
            wait_s = self._step()

    def _step(self) -> float | None:
        """Renew the token; return the seconds until the next time, or None for never."""
        try:
            if self._granted_s is None and not self._can_be_renewed():
                return None
            life = self._gateway.renew()
        except Unavailable as error:
            self._report(error.message)
            return max(_SOONEST_S, min(_AGAIN_S, (self._granted_s or _AGAIN_S) / 8))
        return self._renewed(life.remaining_s or 0)

    def _can_be_renewed(self) -> bool:
        life = self._gateway.token()
        try:
            require_renewable(life, self._gateway.where)
        except Unavailable as error:
            self._report(error.message)
            return False
        return life.remaining_s is not None

    def _renewed(self, remaining_s: int) -> float:
        if self._granted_s is None:
            self._granted_s = remaining_s
        if remaining_s < self._granted_s:
            self._report(
                f"{self._gateway.where}: our token ends in {remaining_s} s and for good: "
                "give the server a periodic one, as bootstrap makes them."
            )
        else:
            self._problem = ""
        return max(_SOONEST_S, remaining_s / 2)

    def _report(self, problem: str) -> None:
        if not self._problem:
            _log.warning("vault.token", reason=problem)
        self._problem = problem
