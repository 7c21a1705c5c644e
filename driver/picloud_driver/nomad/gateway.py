"""The gateway to Nomad: the only module that calls it. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from nomad import api

from picloud_driver.nomad.answers import (
    Allocation,
    Evaluation,
    Node,
    NodeMeta,
    NomadJob,
    Registered,
    Shortage,
)
from picloud_driver.nomad.client import AlreadyThere, NomadAccess, NomadClient, NoSuchThing
from picloud_driver.nomad.stream import EventStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NomadAccess", "NomadGateway"]

SILENT_S: Final = 45.0
"""Longest silence of the event stream: Nomad sends a heartbeat every 30 s."""
_TAIL_S: Final = 2.0


class NomadGateway:
    """The requests that the platform makes to Nomad, in frozen values and `PiCloudError`s.

    Every method raises `Unavailable` when Nomad does not answer, and `NotAllowed` when it refuses
    the token. Names must need no URL quoting.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: NomadAccess, connections: int) -> None:
        self._client = client = NomadClient(access, connections)
        self._namespace = access.namespace
        self._allocation = client.endpoint(api.Allocation)
        self._allocations = client.endpoint(api.Allocations)
        self._evaluation = client.endpoint(api.Evaluation)
        self._events = client.endpoint(api.event.stream)
        self._job = client.endpoint(api.Job)
        self._jobs = client.endpoint(api.Jobs)
        self._keys = client.endpoint(_SigningKeys, version=".well-known")
        self._leader = client.endpoint(api.status.Leader)
        self._logs = client.endpoint(_Logs)
        self._node = client.endpoint(api.Node)
        self._nodes = client.endpoint(api.Nodes)

    # --- jobs ---

    def parse(self, hcl: str, variables: str) -> dict[str, Any]:
        """Let Nomad parse a jobspec; nothing is started.

        Args:
            hcl: The jobspec, with `variable` blocks.
            variables: The contents of a variable file.
        """
        # Not `jobs.parse`, which has no variables.
        body = {"JobHCL": hcl, "Variables": variables, "Canonicalize": True}
        parsed = self._client.ask(
            self._jobs, "parse", answer=dict[str, Any], method="post", json=body
        )
        # The parser always sets a namespace; the one of the request decides.
        return {**parsed, "Namespace": self._namespace}

    def register(self, job: Mapping[str, Any]) -> str | None:
        """Register a new job.

        Returns:
            The evaluation that places it; None if a job of its name exists, which is not changed.
        """
        # Index 0 means that the job must not exist: a repeated request starts nothing more.
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0}
        try:
            registered = self._client.ask(self._jobs, answer=Registered, method="post", json=body)
        except AlreadyThere:
            return None
        return registered.eval_id

    def evaluated(self, evaluation: str, timeout_s: float) -> bool:
        """Wait until Nomad has processed an evaluation; return False if it is still pending.

        Then Nomad has placed what fits, or told every allocation to end.
        """
        deadline = time.monotonic() + timeout_s
        found, index = self._client.ask_with_index(self._evaluation, evaluation, answer=Evaluation)
        while found.status == "pending" and (remaining_s := deadline - time.monotonic()) > 0:
            found, index = self._client.ask_with_index(
                self._evaluation, evaluation, answer=Evaluation, index=index, wait_s=remaining_s
            )
        return found.status != "pending"

    def deregister(self, job: str, *, purge: bool = False) -> str | None:
        """Stop a job; an unknown one is not an error.

        Args:
            job: Its name.
            purge: Whether Nomad also deletes it.

        Returns:
            The evaluation that ends its allocations; None if there are none.
        """
        params = {"purge": str(purge).lower()}
        found = self._client.ask(self._job, job, answer=Registered, method="delete", params=params)
        return found.eval_id or None

    def jobs(self, prefix: str) -> list[NomadJob]:
        """Return every job whose name has this prefix."""
        params = {"prefix": prefix, "meta": "true"}
        return self._client.ask(self._jobs, answer=list[NomadJob], params=params)

    def shortage(self, job: str) -> Shortage | None:
        """Return why Nomad could not place the last slots of a job; None if it placed them all."""
        found = self._client.ask(self._job, job, "evaluations", answer=list[Evaluation])
        newest = max(
            (evaluation for evaluation in found if evaluation.failed),
            key=lambda evaluation: evaluation.modify_index,
            default=None,
        )
        return None if newest is None else next(iter((newest.failed or {}).values()))

    # --- allocations ---

    def allocations(self, prefix: str, statuses: frozenset[str]) -> tuple[list[Allocation], int]:
        """Return allocations, without their tasks, of jobs whose names have this prefix.

        Returns:
            The allocations, and the index of that state.
        """
        wanted = " or ".join(f'ClientStatus == "{status}"' for status in sorted(statuses))
        expression = f'JobID matches "^{prefix}" and ({wanted})'
        params = {"filter": expression, "task_states": "false"}
        return self._client.ask_with_index(
            self._allocations, answer=list[Allocation], params=params
        )

    def allocations_of(
        self, job: str, index: int = 0, wait_s: float = 0.0
    ) -> tuple[list[Allocation], int]:
        """Return the allocations of a job once they have changed since an index, or after `wait_s`.

        Returns:
            The allocations, and the index of that state.
        """
        return self._client.ask_with_index(
            self._job, job, "allocations", answer=list[Allocation], index=index, wait_s=wait_s
        )

    def allocation(self, name: str) -> Allocation | None:
        """Return one allocation with its job; None if Nomad does not know it."""
        try:
            return self._client.ask(self._allocation, name, answer=Allocation)
        except NoSuchThing:
            return None

    def tail(self, allocation: str, task: str, size: int) -> str:
        """Return the end of a task's standard error.

        Raises:
            PiCloudError: When its log cannot be read.
        """
        which = {"task": task, "type": "stderr", "plain": "true"}
        where = {"origin": "end", "offset": str(size), "follow": "false"}
        with self._client.explained():
            answer = self._client.send(
                self._logs, allocation, params=which | where, answer_s=_TAIL_S
            )
        return answer.content.decode(errors="replace").strip()

    @contextlib.contextmanager
    def events(self, index: int) -> Iterator[EventStream]:
        """Open the stream of changes of allocations after an index."""
        params = {"topic": "Allocation", "index": str(index)}
        with self._client.explained():
            # Not python-nomad's stream, whose thread ends with the connection.
            answer = self._client.send(self._events, params=params, answer_s=SILENT_S, stream=True)
            with contextlib.closing(EventStream(answer)) as stream:
                yield stream

    # --- the rest ---

    def nodes(self) -> list[Node]:
        """Return every machine."""
        return self._client.ask(self._nodes, answer=list[Node], params={"resources": "true"})

    def node_meta(self, node: str) -> dict[str, str]:
        """Return the meta values of a machine; {} if Nomad does not know it."""
        try:
            return self._client.ask(self._node, node, answer=NodeMeta).meta or {}
        except NoSuchThing:
            return {}

    def keys(self) -> dict[str, Any]:
        """Return the public keys of Nomad's identities, as a JSON web key set."""
        return self._client.ask(self._keys, answer=dict[str, Any])

    def leader(self) -> str:
        """Return the address of the leader; "" if there is none."""
        return self._client.ask(self._leader, answer=str)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _SigningKeys(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """Public signing keys; python-nomad has no class for them."""

    ENDPOINT = "jwks.json"


class _Logs(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """Output of tasks; python-nomad's own class cannot read a tail."""

    ENDPOINT = "client/fs/logs"
