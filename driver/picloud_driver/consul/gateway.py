"""The gateway to Consul: the only module that calls it. It blocks; call it from a thread."""

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

from picloud_driver.consul.transport import ConsulTransport, UnixSocketPool
from picloud_driver.network import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consul.base import Response

STEPS: Final = 128
"""Most steps that Consul accepts in a transaction."""
_DEFAULT_PORT: Final = 8500
_SOCKET: Final = "unix://"
_OK: Final = 200
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_LARGE: Final = 413


class Verb(StrEnum):
    """What a step of a transaction does."""

    SET = "set"
    """Write a value."""
    CAS = "cas"
    """Write a value if the key has the given index; index 0 means that it does not exist."""
    DELETE = "delete"
    """Remove a key if it exists."""
    CHECK_INDEX = "check-index"
    """Fail unless the key has the given index."""
    CHECK_NOT_EXISTS = "check-not-exists"
    """Fail if the key exists."""
    GET = "get-or-empty"
    """Read a key; one that does not exist has index 0."""
    LOCK = "lock"
    """Lock a key for a session, unless another session has locked it."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """A step of a transaction; the fields have Consul's names."""

    verb: Verb
    key: str
    value: bytes = b""
    index: int = 0
    flags: int = 0
    session: str = ""


class StoredKey(msgspec.Struct, frozen=True, rename="pascal"):
    """A key as Consul returns it; steps that write return no value."""

    key: str
    modify_index: int
    value: bytes | None = None
    session: str = ""


class StepsFailed(Exception):
    """A transaction was rejected as a whole, because some of its steps could not be done."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(f"not done: {', '.join(step.key for step in steps)}")
        self.steps = tuple(steps)


@dataclasses.dataclass(frozen=True)
class ConsulAccess:
    """The address of Consul and the credentials for it.

    Args:
        address: `host:port`, or a URL; `https://` needs certificates or those of the system, and
            `unix://` is followed by the path of a socket.
        token: An ACL token; "" if Consul has no ACLs. It is in no message and no `repr`.
        ca_file: The authority that signed Consul's certificate, in PEM.
        cert_file: The client's certificate, if Consul requires one.
        key_file: The key of the client's certificate.

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
    """The requests that the platform makes to Consul, in frozen values and `PiCloudError`s.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: ConsulAccess, connections: int) -> None:
        self._address = access.address
        self._client = _Client(access, connections)

    def transact(self, steps: Sequence[Step]) -> list[StoredKey]:
        """Do all steps or none, in their order; reads see every write that was completed before.

        Raises:
            StepsFailed: When steps could not be done; nothing was changed.
            TooLarge: When Consul accepts no request of that size.
            Unavailable: When Consul did not answer; the steps may have been done.
        """
        body = _ENCODER.encode([{"KV": step} for step in steps])
        with self._explained():
            # Not `client.txn.put`: it omits the token and cannot request consistency.
            answer: Response = self._client.http.put(
                lambda answer: answer,
                "/v1/txn",
                params=[("consistent", "1")],
                data=body,
                headers=self._client.prepare_headers(),
            )
        if answer.code == _OK:
            keys = [result.kv for result in _DECODER.decode(answer.body).results or ()]
            # Consul silently omits what the token may not read, as if it did not exist.
            if len(keys) < sum(step.verb is Verb.GET for step in steps):
                raise self._refused("it may not read these keys")
            return keys
        if answer.code == _TOO_LARGE:
            raise TooLarge(f"Consul takes no transaction of {len(body)} bytes; split it")
        if answer.code == _CONFLICT:
            raise StepsFailed(self._failed(steps, _DECODER.decode(answer.body).errors or ()))
        if answer.code == _FORBIDDEN:
            raise self._refused(answer.body)
        raise self._unavailable(f"{answer.code} {answer.body}")

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, ascending; it must need no URL quoting."""
        with self._explained():
            _, keys = self._client.kv.get(prefix, keys=True, consistency="consistent")
        return list(keys or ())

    def wait(self, prefix: str, index: int, wait_s: float) -> int:
        """Wait until something under `prefix` has changed since `index`.

        Args:
            prefix: The keys to watch; it must need no URL quoting.
            index: The result of an earlier call; 0 returns at once.
            wait_s: Longest time to wait, in seconds; Consul adds up to a sixteenth.

        Returns:
            The present index of the prefix. It can be lower than the given one, after Consul has
            purged a deletion or was restored. If no key begins with `prefix`, it is the index of
            all keys.
        """
        with self._explained():
            # The separator shortens deeper keys to one name each: only the index is needed.
            present, _ = self._client.kv.get(
                prefix, keys=True, separator="/", index=index, wait=f"{max(1, wait_s * 1000):.0f}ms"
            )
        return int(present)

    def take(self, key: str, ttl_s: int) -> str | None:
        """Lock a key unless it is locked; return the session that holds the lock, or None.

        Consul deletes the key with its session, which it ends between one and two `ttl_s` after the
        last renewal.

        Args:
            key: The key to lock.
            ttl_s: The session's time to live in seconds, at least 10.
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
        """Renew a session; return False if it no longer exists."""
        try:
            with self._explained():
                self._client.session.renew(session)
        except NoSuchThing:
            return False
        return True

    def end(self, session: str) -> None:
        """End a session and its lock; an ended session is not an error."""
        with self._explained():
            self._client.session.destroy(session)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        passes: str = "",
        missing: bool = False,
        refusable: bool = False,
        token: str = "",
    ) -> tuple[int, str]:
        """Send a request of an administrator; return the status and the text of the answer.

        Args:
            method: "GET", which has no body, "PUT", "POST" or "DELETE".
            path: The path with its version.
            body: What is sent as JSON.
            passes: An error whose text contains this is none.
            missing: Whether the answer may be that nothing is there.
            refusable: Whether the caller reads errors itself.
            token: What to send in place of the gateway's own token.
        """
        http, headers = self._client.http, self._client.prepare_headers(token or None)
        data = None if body is None else _ENCODER.encode(body)
        # Not `client.acl`: it encodes the rules of a policy twice.
        with self._explained():
            answer: Response
            match method:
                case "GET":
                    answer = http.get(_whole, path, headers=headers)
                case "DELETE":
                    answer = http.delete(_whole, path, headers=headers, data=data)
                case "POST":
                    answer = http.post(_whole, path, headers=headers, data=data)
                case _:
                    answer = http.put(_whole, path, headers=headers, data=data)
        text = answer.body if isinstance(answer.body, str) else answer.body.decode()
        accepted = answer.code == _OK or refusable or bool(passes and passes in text)
        # Versions of Consul differ in how they say that nothing is there.
        absent = missing and (answer.code == _NOT_FOUND or "not found" in text.lower())
        if answer.code == _FORBIDDEN and not accepted and not absent:
            raise self._refused(text)
        if not accepted and not absent:
            raise self._unavailable(f"{answer.code} {text}")
        return answer.code, text

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
        """Turn errors of py-consul and urllib3 into one sentence; `NoSuchThing` passes."""
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
    """py-consul with `ConsulTransport`, and without settings from the environment."""

    def __init__(self, access: ConsulAccess, connections: int) -> None:
        self._pool = _pool(access, connections)
        # py-consul takes from the environment what is omitted here.
        super().__init__(
            host=self._pool.host, port=self._pool.port, scheme=self._pool.scheme, verify=True
        )
        # As an argument, the token would yield to CONSUL_HTTP_TOKEN.
        self.token = access.token

    def http_connect(self, *_address: Any) -> ConsulTransport:
        return ConsulTransport(self._pool)


def _pool(access: ConsulAccess, connections: int) -> urllib3.HTTPConnectionPool:
    if access.address.startswith(_SOCKET):
        return UnixSocketPool(access.address.removeprefix(_SOCKET), connections)
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


def _whole(answer: Response) -> Response:
    """Return an answer as it is, for requests whose answers are read here."""
    return answer
