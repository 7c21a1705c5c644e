"""The gateway to Nomad: the only place that speaks to it. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import requests
from nomad import api
from nomad.api.exceptions import (
    BadRequestNomadException,
    BaseNomadException,
    TimeoutNomadException,
    URLNotAuthorizedNomadException,
    URLNotFoundNomadException,
)
from picloud_model.errors import NotAllowed, PiCloudError, ServerFault, Unavailable
from requests.adapters import HTTPAdapter

from picloud_driver.nomad.answers import (
    Allocation,
    Evaluation,
    Job,
    Node,
    NodeMeta,
    Registered,
)
from picloud_driver.nomad.stream import EventStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_T = TypeVar("_T")

CONNECT_S: Final = 3.0
ANSWER_S: Final = 10.0
"""Longest time without a byte of an answer, beside what Nomad was asked to wait."""
SILENT_S: Final = 45.0
"""Nomad sends a sign of life every 30 s where events are followed."""
_TAIL_S: Final = 2.0
_NEEDED: Final = (
    "submit-job, read-job, list-jobs, parse-job and read-fs in its namespace, and node:read"
)


@dataclasses.dataclass(frozen=True)
class NomadAccess:
    """Where Nomad answers, and as whom.

    Args:
        address: A URL; `https://` needs certificates or those that come with Python.
        token: Of an ACL; "" where Nomad has none. It is in no message and no `repr`.
        namespace: Where bursts are registered.
        ca_file: Who signed Nomad's certificate, in PEM.
        cert_file: Our own certificate, where Nomad asks for one.
        key_file: The key of our own certificate.

    >>> NomadAccess(token="hidden").address
    'http://127.0.0.1:4646'
    """

    address: str = "http://127.0.0.1:4646"
    token: str = dataclasses.field(default="", repr=False)
    namespace: str = "default"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class NomadGateway:
    """What the platform asks of Nomad, in frozen values and `PiCloudError`s.

    Every method raises `Unavailable` when Nomad does not answer, and `NotAllowed` when it refuses
    the token. Names have to be plain in a URL.

    Args:
        access: Where it answers.
        connections: How many connections to keep open.
    """

    def __init__(self, access: NomadAccess, connections: int) -> None:
        self._address = access.address
        self._namespace = access.namespace
        self._session = session = _session(connections)
        # Not `nomad.Nomad`: it looks in the environment for whatever is left out.
        settings: dict[str, Any] = {
            "address": access.address.rstrip("/"),
            "token": access.token or None,
            "verify": access.ca_file or True,
            "cert": (access.cert_file, access.key_file) if access.cert_file else (),
            "session": session,
        }
        self._allocation = api.Allocation(**settings)
        self._allocations = api.Allocations(**settings)
        self._evaluation = api.Evaluation(**settings)
        self._event = _Event(**settings)
        self._job = api.Job(**settings)
        self._jobs = api.Jobs(**settings)
        self._keys = _Keys(**settings, version=".well-known")
        self._logs = _Logs(**settings)
        self._node = api.Node(**settings)
        self._nodes = api.Nodes(**settings)
        self._leader = api.status.Leader(**settings)

    # --- jobs ---

    def parse(self, hcl: str, variables: str) -> dict[str, Any]:
        """Let Nomad read a jobspec; nothing is started.

        Args:
            hcl: With `variable` blocks.
            variables: As in a variable file.
        """
        # Not `jobs.parse`: it has no variables.
        body = {"JobHCL": hcl, "Variables": variables, "Canonicalize": True}
        parsed = self._ask(self._jobs, "parse", answer=dict[str, Any], method="post", json=body)
        # It is set, whatever was asked for; where the job goes, the request says.
        return {**parsed, "Namespace": self._namespace}

    def register(self, job: Mapping[str, Any]) -> str | None:
        """Register a job that is not there yet.

        Returns:
            The evaluation that places it; None when there is a job of its name, which stays as
            it is.
        """
        # Index 0 stands for no job: the same request, sent again, starts nothing more.
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0}
        try:
            found = self._ask(self._jobs, answer=Registered, method="post", json=body)
        except _AlreadyThere:
            return None
        return found.eval_id

    def evaluated(self, evaluation: str, timeout_s: float) -> bool:
        """Wait until Nomad has thought about a job; False when it is still at it.

        Then it has placed what there is room for, or told every allocation to end.
        """
        deadline = time.monotonic() + timeout_s
        found, index = self._look(self._evaluation, evaluation, answer=Evaluation)
        while found.status == "pending" and (left := deadline - time.monotonic()) > 0:
            found, index = self._look(
                self._evaluation, evaluation, answer=Evaluation, index=index, wait_s=left
            )
        return found.status != "pending"

    def deregister(self, job: str, *, purge: bool = False) -> str | None:
        """Stop a job; an unknown one is no error.

        Args:
            job: Its name.
            purge: Whether Nomad is to forget it as well.

        Returns:
            The evaluation that ends its allocations; None when there is nothing to end.
        """
        params = {"purge": str(purge).lower()}
        found = self._ask(self._job, job, answer=Registered, method="delete", params=params)
        return found.eval_id or None

    def jobs(self, prefix: str) -> list[Job]:
        """Every job whose name begins so."""
        params = {"prefix": prefix, "meta": "true"}
        return self._ask(self._jobs, answer=list[Job], params=params)

    # --- allocations ---

    def allocations(self, prefix: str, statuses: frozenset[str]) -> tuple[list[Allocation], int]:
        """Allocations of jobs whose names begin so, without their tasks.

        Returns:
            They, and the index at which that was so.
        """
        wanted = " or ".join(f'ClientStatus == "{status}"' for status in sorted(statuses))
        expression = f'JobID matches "^{prefix}" and ({wanted})'
        params = {"filter": expression, "task_states": "false"}
        return self._look(self._allocations, answer=list[Allocation], params=params)

    def allocations_of(
        self, job: str, index: int = 0, wait_s: float = 0.0
    ) -> tuple[list[Allocation], int]:
        """Allocations of one job, as soon as they are others than at an index, or after `wait_s`.

        Returns:
            They, and the index at which that was so.
        """
        return self._look(
            self._job, job, "allocations", answer=list[Allocation], index=index, wait_s=wait_s
        )

    def allocation(self, name: str) -> Allocation | None:
        """One allocation, with its job; None when Nomad knows none of that name."""
        try:
            return self._ask(self._allocation, name, answer=Allocation)
        except URLNotFoundNomadException:
            return None

    def tail(self, allocation: str, task: str, size: int) -> str:
        """The end of what a task wrote to standard error, or "" if there is nothing to be had."""
        which = {"task": task, "type": "stderr", "plain": "true"}
        where = {"origin": "end", "offset": str(size), "follow": "false"}
        try:
            with self._explained():
                answer = self._send(self._logs, allocation, params=which | where, answer_s=_TAIL_S)
        except (PiCloudError, URLNotFoundNomadException):
            return ""
        return answer.content.decode(errors="replace").strip()

    @contextlib.contextmanager
    def events(self, index: int) -> Iterator[EventStream]:
        """Changes of allocations from an index on, as they happen."""
        params = {"topic": "Allocation", "index": index, "namespace": self._namespace}
        with self._explained():
            answer = self._event.request(
                "stream", method="get", params=params, stream=True, timeout=(CONNECT_S, SILENT_S)
            )
            with contextlib.closing(EventStream(answer)) as stream:
                yield stream

    # --- the rest ---

    def nodes(self) -> list[Node]:
        """Every machine."""
        return self._ask(self._nodes, answer=list[Node], params={"resources": "true"})

    def node_meta(self, node: str) -> dict[str, str]:
        """What an operator says of a machine; {} when it is gone."""
        try:
            return self._ask(self._node, node, answer=NodeMeta).meta or {}
        except URLNotFoundNomadException:
            return {}

    def keys(self) -> dict[str, Any]:
        """The public keys that Nomad signs identities with, as a JSON web key set."""
        return self._ask(self._keys, answer=dict[str, Any])

    def leader(self) -> str:
        """Address of the server that leads; "" while there is none."""
        return self._ask(self._leader, answer=str)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(self, endpoint: api.Requester, *path: str, answer: type[_T], **asked: Any) -> _T:
        with self._explained():
            content = self._send(endpoint, *path, **asked).content
            return msgspec.json.decode(content, type=answer)

    def _look(
        self, endpoint: api.Requester, *path: str, answer: type[_T], **asked: Any
    ) -> tuple[_T, int]:
        with self._explained():
            response = self._send(endpoint, *path, **asked)
            found = msgspec.json.decode(response.content, type=answer)
            return found, int(response.headers["X-Nomad-Index"])

    def _send(
        self,
        endpoint: api.Requester,
        *path: str,
        method: str = "get",
        params: Mapping[str, str] | None = None,
        json: object = None,
        index: int = 0,
        wait_s: float = 0.0,
        answer_s: float = ANSWER_S,
    ) -> requests.Response:
        query: dict[str, str | int] = {**(params or {}), "namespace": self._namespace}
        if index:
            query |= {"index": index, "wait": f"{max(1, round(wait_s * 1000))}ms"}
        answered: requests.Response = endpoint.request(
            *path,
            method=method,
            params=query,
            json=json,
            # Nomad adds up to a sixteenth to what it was asked to wait.
            timeout=(CONNECT_S, answer_s + wait_s * 17 / 16),
        )
        return answered

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what python-nomad and requests raise into one sentence; what is missing passes."""
        try:
            yield
        except URLNotFoundNomadException:
            raise
        except URLNotAuthorizedNomadException as error:
            raise NotAllowed(
                f"Nomad at {self._address} refuses the server's token; it has to allow {_NEEDED}."
            ) from error
        except BaseNomadException as error:
            why = _text(error)
            if _ALREADY_THERE in why:
                raise _AlreadyThere from error
            if isinstance(error, BadRequestNomadException) or _INVALID in why:
                raise ServerFault(f"Nomad at {self._address} refuses a request: {why}") from error
            raise self._unavailable(why) from error
        except (TimeoutNomadException, requests.RequestException, KeyError) as error:
            raise self._unavailable(str(error)) from error
        except msgspec.MsgspecError as error:
            raise self._unavailable(f"its answer is none of Nomad 1.10's ({error})") from error

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"Nomad at {self._address} cannot answer now, try again: {why}")


class _AlreadyThere(Exception):
    """There is a job of that name."""


class _Event(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """Events; python-nomad's own thread for them ends with the first connection that breaks."""

    ENDPOINT = "event"


class _Keys(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """Public keys; python-nomad has no class for them."""

    ENDPOINT = "jwks.json"


class _Logs(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """What tasks have written; python-nomad's own class reads no tail."""

    ENDPOINT = "client/fs/logs"


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    # The environment may name proxies, passwords and certificates that are not meant for Nomad.
    session.trust_env = False
    session.headers.update({"User-Agent": "picloud", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=connections))
    return session


def _text(error: BaseNomadException) -> str:
    told = error.nomad_resp
    text = told.text if isinstance(told, requests.Response) else str(told)
    return " ".join(text.split())


_ALREADY_THERE: Final = "Enforcing job modify index 0"
_INVALID: Final = "validation failed"
