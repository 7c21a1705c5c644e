"""The gateway to Nomad: the only place that speaks to it. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from nomad import api
from picloud_model.errors import PiCloudError

from picloud_driver.nomad.answers import (
    Allocation,
    Evaluation,
    Job,
    Node,
    NodeMeta,
    Registered,
    Shortage,
)
from picloud_driver.nomad.client import AlreadyThere, NomadAccess, NomadClient, NoSuchThing
from picloud_driver.nomad.stream import EventStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NomadAccess", "NomadGateway"]

SILENT_S: Final = 45.0
"""Nomad sends a sign of life every 30 s where events are followed."""
_TAIL_S: Final = 2.0


class NomadGateway:
    """What the platform asks of Nomad, in frozen values and `PiCloudError`s.

    Every method raises `Unavailable` when Nomad does not answer, and `NotAllowed` when it refuses
    the token. Names have to be plain in a URL.

    Args:
        access: Where it answers.
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
        self._keys = client.endpoint(_Keys, version=".well-known")
        self._leader = client.endpoint(api.status.Leader)
        self._logs = client.endpoint(_Logs)
        self._node = client.endpoint(api.Node)
        self._nodes = client.endpoint(api.Nodes)

    # --- jobs ---

    def parse(self, hcl: str, variables: str) -> dict[str, Any]:
        """Let Nomad read a jobspec; nothing is started.

        Args:
            hcl: With `variable` blocks.
            variables: As in a variable file.
        """
        # Not `jobs.parse`: it has no variables.
        body = {"JobHCL": hcl, "Variables": variables, "Canonicalize": True}
        parsed = self._client.ask(
            self._jobs, "parse", answer=dict[str, Any], method="post", json=body
        )
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
            found = self._client.ask(self._jobs, answer=Registered, method="post", json=body)
        except AlreadyThere:
            return None
        return found.eval_id

    def evaluated(self, evaluation: str, timeout_s: float) -> bool:
        """Wait until Nomad has thought about a job; False when it is still at it.

        Then it has placed what there is room for, or told every allocation to end.
        """
        deadline = time.monotonic() + timeout_s
        found, index = self._client.look(self._evaluation, evaluation, answer=Evaluation)
        while found.status == "pending" and (left := deadline - time.monotonic()) > 0:
            found, index = self._client.look(
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
        found = self._client.ask(self._job, job, answer=Registered, method="delete", params=params)
        return found.eval_id or None

    def jobs(self, prefix: str) -> list[Job]:
        """Every job whose name begins so."""
        params = {"prefix": prefix, "meta": "true"}
        return self._client.ask(self._jobs, answer=list[Job], params=params)

    def shortage(self, job: str) -> Shortage | None:
        """Why the last slots Nomad looked for a machine for got none; None when all have one."""
        found = self._client.ask(self._job, job, "evaluations", answer=list[Evaluation])
        newest = max(
            (evaluation for evaluation in found if evaluation.failed),
            key=lambda evaluation: evaluation.modify_index,
            default=None,
        )
        return None if newest is None else next(iter((newest.failed or {}).values()))

    # --- allocations ---

    def allocations(self, prefix: str, statuses: frozenset[str]) -> tuple[list[Allocation], int]:
        """Allocations of jobs whose names begin so, without their tasks.

        Returns:
            They, and the index at which that was so.
        """
        wanted = " or ".join(f'ClientStatus == "{status}"' for status in sorted(statuses))
        expression = f'JobID matches "^{prefix}" and ({wanted})'
        params = {"filter": expression, "task_states": "false"}
        return self._client.look(self._allocations, answer=list[Allocation], params=params)

    def allocations_of(
        self, job: str, index: int = 0, wait_s: float = 0.0
    ) -> tuple[list[Allocation], int]:
        """Allocations of one job, as soon as they are others than at an index, or after `wait_s`.

        Returns:
            They, and the index at which that was so.
        """
        return self._client.look(
            self._job, job, "allocations", answer=list[Allocation], index=index, wait_s=wait_s
        )

    def allocation(self, name: str) -> Allocation | None:
        """One allocation, with its job; None when Nomad knows none of that name."""
        try:
            return self._client.ask(self._allocation, name, answer=Allocation)
        except NoSuchThing:
            return None

    def tail(self, allocation: str, task: str, size: int) -> str:
        """The end of what a task wrote to standard error, or "" if there is nothing to be had."""
        which = {"task": task, "type": "stderr", "plain": "true"}
        where = {"origin": "end", "offset": str(size), "follow": "false"}
        try:
            with self._client.explained():
                answer = self._client.send(
                    self._logs, allocation, params=which | where, answer_s=_TAIL_S
                )
        except PiCloudError:
            return ""
        return answer.content.decode(errors="replace").strip()

    @contextlib.contextmanager
    def events(self, index: int) -> Iterator[EventStream]:
        """Changes of allocations from an index on, as they happen."""
        params = {"topic": "Allocation", "index": str(index)}
        with self._client.explained():
            # Not what python-nomad makes of it: its thread ends with the connection.
            answer = self._client.send(self._events, params=params, answer_s=SILENT_S, stream=True)
            with contextlib.closing(EventStream(answer)) as stream:
                yield stream

    # --- the rest ---

    def nodes(self) -> list[Node]:
        """Every machine."""
        return self._client.ask(self._nodes, answer=list[Node], params={"resources": "true"})

    def node_meta(self, node: str) -> dict[str, str]:
        """What an operator says of a machine; {} when it is gone."""
        try:
            return self._client.ask(self._node, node, answer=NodeMeta).meta or {}
        except NoSuchThing:
            return {}

    def keys(self) -> dict[str, Any]:
        """The public keys that Nomad signs identities with, as a JSON web key set."""
        return self._client.ask(self._keys, answer=dict[str, Any])

    def leader(self) -> str:
        """Address of the server that leads; "" while there is none."""
        return self._client.ask(self._leader, answer=str)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _Keys(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """Public keys; python-nomad has no class for them."""

    ENDPOINT = "jwks.json"


class _Logs(api.Requester):  # type: ignore[misc] # python-nomad is not typed
    """What tasks have written; python-nomad's own class reads no tail."""

    ENDPOINT = "client/fs/logs"
