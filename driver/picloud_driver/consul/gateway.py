"""The gateway to Consul: the only place that speaks to it. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import dataclasses
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
import urllib3
from consul import ACLDisabled, ACLPermissionDenied, ConsulException
from consul import NotFound as NoSuchThing
from consul.base import Consul
from picloud_model.errors import TooLarge, Unavailable

from picloud_driver.consul.transport import ConsulTransport
from picloud_driver.network import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consul.base import Response

STEPS: Final = 128
"""Most steps Consul takes in a transaction."""
_DEFAULT_PORT: Final = 8500
_OK: Final = 200
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_TOO_LARGE: Final = 413


class Verb(StrEnum):
    """What a step of a transaction does."""

    SET = "set"
    """Write a value."""
    CAS = "cas"
    """Write a value over the index given; index 0 stands for no value."""
    DELETE = "delete"
    """Remove a key, if it is there."""
    CHECK_INDEX = "check-index"
    """Fail unless the key has the index given."""
    CHECK_NOT_EXISTS = "check-not-exists"
    """Fail if there is such a key."""
    GET = "get-or-empty"
    """Read a key; one that is not there has index 0."""
    LOCK = "lock"
    """Put a session's lock on a key, unless another session has it."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """A step of a transaction, as Consul names its parts."""

    verb: Verb
    key: str
    value: bytes = b""
    index: int = 0
    flags: int = 0
    session: str = ""


class StoredKey(msgspec.Struct, frozen=True, rename="pascal"):
    """A key as Consul tells it; writing steps are answered without the value."""

    key: str
    modify_index: int
    value: bytes | None = None
    session: str = ""


class StepsFailed(Exception):
    """A transaction was refused as a whole; these of its steps could not be done."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(f"not done: {', '.join(step.key for step in steps)}")
        self.steps = tuple(steps)


@dataclasses.dataclass(frozen=True)
class ConsulAccess:
    """Where Consul answers, and as whom.

    Args:
        address: `host:port`, or a URL; `https://` needs certificates or those of the system.
        token: Of an ACL; "" where Consul has none. It is in no message and no `repr`.
        ca_file: Who signed Consul's certificate, in PEM.
        cert_file: Our own certificate, where Consul asks for one.
        key_file: The key of our own certificate.

    >>> ConsulAccess(token="hidden")
    ConsulAccess(address='127.0.0.1:8500', ca_file='', cert_file='', key_file='')
    """

    address: str = f"127.0.0.1:{_DEFAULT_PORT}"
    token: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class _KV(msgspec.Struct, frozen=True):
    kv: StoredKey = msgspec.field(name="KV")


class _Error(msgspec.Struct, frozen=True, rename="pascal"):
    op_index: int
    what: str


class _Transaction(msgspec.Struct, frozen=True, rename="pascal"):
    results: list[_KV] | None = None
    errors: list[_Error] | None = None


class ConsulGateway:
    """What the platform asks of Consul, in frozen values and `PiCloudError`s.

    Args:
        access: Where it answers.
        connections: How many connections to keep open.
    """

    def __init__(self, access: ConsulAccess, connections: int) -> None:
        self._address = access.address
        self._client = _Client(access, connections)

    def transact(self, steps: Sequence[Step]) -> list[StoredKey]:
        """Do all steps or none, in their order; reads see every write answered before.

        Raises:
            StepsFailed: When steps could not be done; nothing was changed.
            TooLarge: When Consul takes no request of that size.
            Unavailable: When Consul did not answer; it may have been done.
        """
        body = _ENCODER.encode([{"KV": step} for step in steps])
        with self._explained():
            # Not `client.txn.put`: it leaves out the token, and cannot ask for consistency.
            answer: Response = self._client.http.put(
                lambda answer: answer,
                "/v1/txn",
                params=[("consistent", "1")],
                data=body,
                headers=self._client.prepare_headers(),
            )
        if answer.code == _OK:
            found = [result.kv for result in _DECODER.decode(answer.body).results or ()]
            # What the token may not read Consul leaves out without a word, as if it was not there.
            if len(found) < sum(step.verb is Verb.GET for step in steps):
                raise self._refused("it may not read these keys")
            return found
        if answer.code == _TOO_LARGE:
            raise TooLarge(f"Consul takes no transaction of {len(body)} bytes; split it")
        if answer.code == _CONFLICT:
            raise StepsFailed(self._failed(steps, _DECODER.decode(answer.body).errors or ()))
        if answer.code == _FORBIDDEN:
            raise self._refused(answer.body)
        raise self._unavailable(f"{answer.code} {answer.body}")

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, ascending; `prefix` has to be plain in a URL."""
        with self._explained():
            _, found = self._client.kv.get(prefix, keys=True, consistency="consistent")
        return list(found or ())

    def wait(self, prefix: str, index: int, wait_s: float) -> int:
        """Wait until something under `prefix` has changed since `index`, which it had then.

        Args:
            prefix: Where to look; it has to be plain in a URL.
            index: What was answered before; 0 answers at once.
            wait_s: Longest time to wait, in seconds; Consul adds up to a sixteenth.

        Returns:
            The index of the prefix now. It can be lower than the one given, after a delete was
            forgotten or Consul was restored; and where no key begins with `prefix`, it is that of
            all keys.
        """
        with self._explained():
            # The separator cuts what lies deeper down to one name each: only the index is wanted.
            found, _ = self._client.kv.get(
                prefix, keys=True, separator="/", index=index, wait=f"{max(1, wait_s * 1000):.0f}ms"
            )
        return int(found)

    def take(self, key: str, ttl_s: int) -> str | None:
        """Put a lock on a key that nobody has one on, and answer the session that holds it.

        The key goes with its session, which Consul ends between one and two `ttl_s` after it was
        last renewed.

        Args:
            key: To be locked.
            ttl_s: In seconds, at least 10.
        """
        (held,) = self.transact([Step(Verb.GET, key)])
        if held.session:
            return None
        with self._explained():
            session: str = self._client.session.create(
                name=key, behavior="delete", lock_delay=0, ttl=ttl_s
            )
        try:
            self.transact([Step(Verb.LOCK, key, session=session)])
        except StepsFailed:
            self.end(session)
            return None
        return session

    def renew(self, session: str) -> bool:
        """Keep a session alive; False when there is none of that name any more."""
        try:
            with self._explained():
                self._client.session.renew(session)
        except NoSuchThing:
            return False
        return True

    def end(self, session: str) -> None:
        """End a session, and with it its lock; one that has ended is no error."""
        with self._explained():
            self._client.session.destroy(session)

    def close(self) -> None:
        """Close the connections."""
        self._client.http.close()

    def _failed(self, steps: Sequence[Step], errors: Sequence[_Error]) -> list[Step]:
        for error in errors:
            step = steps[error.op_index]
            if "ermission denied" in error.what:
                raise self._refused(error.what)
            if step.verb in (Verb.SET, Verb.DELETE, Verb.GET):
                raise self._unavailable(error.what)
        return [steps[error.op_index] for error in errors]

    def _refused(self, why: str) -> Unavailable:
        advice = "check that it is valid, and its policy"
        return Unavailable(f"Consul at {self._address} refuses our token; {advice} ({why})")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"Consul at {self._address} cannot answer now, try again: {why}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what py-consul and urllib3 raise into one sentence; `NoSuchThing` passes."""
        try:
            yield
        except NoSuchThing:
            raise
        except (ACLDisabled, ACLPermissionDenied) as error:
            raise self._refused(str(error)) from error
        except ConsulException as error:
            raise self._unavailable(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unavailable(reason(error)) from error


class _Client(Consul):  # type: ignore[misc] # py-consul is not typed
    """py-consul with our transport, and with nothing taken from the environment."""

    def __init__(self, access: ConsulAccess, connections: int) -> None:
        self._pool = _pool(access, connections)
        # Whatever is left out here, py-consul looks for in the environment.
        super().__init__(
            host=self._pool.host, port=self._pool.port, scheme=self._pool.scheme, verify=True
        )
        # There, CONSUL_HTTP_TOKEN would win even over a token that was given.
        self.token = access.token

    def http_connect(self, *_address: Any) -> ConsulTransport:
        return ConsulTransport(self._pool)


def _pool(access: ConsulAccess, connections: int) -> urllib3.HTTPConnectionPool:
    url = urllib3.util.parse_url(access.address)
    host, port = url.host or "127.0.0.1", url.port or _DEFAULT_PORT
    if url.scheme != "https":
        return urllib3.HTTPConnectionPool(host, port, maxsize=connections)
    return urllib3.HTTPSConnectionPool(
        host,
        port,
        maxsize=connections,
        ca_certs=access.ca_file or None,
        cert_file=access.cert_file or None,
        key_file=access.key_file or None,
    )


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Transaction)
