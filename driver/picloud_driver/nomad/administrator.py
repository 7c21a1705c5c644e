"""What an administrator does in Nomad: policies, tokens, gossip keys, and drained machines."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from nomad import api
from picloud_model.errors import NotAllowed, ServerFault, Unavailable

from picloud_driver.nomad.answers import NomadJob
from picloud_driver.nomad.client import NomadClient, NoSuchThing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.nomad.client import NomadAccess

_DISABLED: Final = "ACL support disabled"
_RUNNING: Final = 'ClientStatus == "pending" or ClientStatus == "running"'


class NomadPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    """A policy: what it allows, in HCL, and what it is for."""

    rules: str = ""
    description: str = ""


class NomadToken(msgspec.Struct, frozen=True, rename="pascal"):
    """An ACL token. In a list it has no secret."""

    accessor_id: str = msgspec.field(name="AccessorID")
    name: str = ""
    type: str = ""
    policies: list[str] | None = None
    secret_id: str = msgspec.field(name="SecretID", default="")

    def __repr__(self) -> str:
        return f"NomadToken({self.accessor_id!r})"


class ClientMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that Nomad reaches; it takes slots if it is `eligible`, and has some now."""

    id: str
    address: str
    eligible: bool
    slots: int


class _Client(msgspec.Struct, frozen=True, rename="pascal"):
    id: str = msgspec.field(name="ID")
    address: str
    status: str
    scheduling_eligibility: str


class _Placed(msgspec.Struct, frozen=True, rename="pascal"):
    node_id: str = msgspec.field(name="NodeID")


class _Keyring(msgspec.Struct, frozen=True, rename="pascal"):
    keys: dict[str, int] | None = None


class _Member(msgspec.Struct, frozen=True, rename="pascal"):
    tags: dict[str, str] = {}


class _Agent(msgspec.Struct, frozen=True):
    member: _Member


class NomadAdministrator(contextlib.AbstractContextManager["NomadAdministrator"]):
    """Requests with a management token. It blocks.

    Every method raises `Unavailable` when Nomad does not answer, or refuses the token.

    Args:
        access: Nomad's address and the token, which is not stored.
    """

    def __init__(self, access: NomadAccess) -> None:
        self._address = access.address
        self._client = NomadClient(access, connections=1)
        self._acl = self._client.endpoint(api.Acl)
        self._agent = self._client.endpoint(api.Agent)
        self._jobs = self._client.endpoint(api.Jobs)
        self._nodes = self._client.endpoint(api.Nodes)
        self._node = self._client.endpoint(api.Node)
        self._allocations = self._client.endpoint(api.Allocations)

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def make_first_token(self, secret: str) -> None:
        """Make the first management token, which a new Nomad grants once; it may be made again.

        Args:
            secret: The token, a UUID that the caller has stored.

        Raises:
            Unavailable: When another administrator has made it, or Nomad has no ACLs.
        """
        try:
            with self._explained():
                self._send("bootstrap", body={"BootstrapSecret": secret})
        except ServerFault as error:
            if "ACL bootstrap already done" not in error.message:
                raise
            raise Unavailable(
                f"Nomad at {self._address} has a management token already: set NOMAD_TOKEN to one."
            ) from error

    def manages(self) -> bool:
        """Whether the token is a management token."""
        with self._explained():
            try:
                self._client.ask(self._acl, "tokens", answer=list[NomadToken])
            except (NotAllowed, NoSuchThing):
                return False
        return True

    def version(self) -> str:
        """Return the version of the agent that answers."""
        with self._explained():
            tags = self._client.ask(self._agent, "self", answer=_Agent).member.tags
        return tags.get("build", "")

    def jobs(self, prefix: str) -> list[NomadJob]:
        """Return every job whose name has this prefix."""
        with self._explained():
            return self._client.ask(self._jobs, answer=list[NomadJob], params={"prefix": prefix})

    def policy(self, name: str) -> NomadPolicy | None:
        """Return a policy; None if there is none of this name."""
        try:
            with self._explained():
                return self._client.ask(self._acl, "policy", name, answer=NomadPolicy)
        except NoSuchThing:
            return None

    def set_policy(self, name: str, rules: str, description: str = "") -> None:
        """Make a policy, or give the one of this name these rules."""
        body = {"Name": name, "Rules": rules, "Description": description}
        with self._explained():
            self._send("policy", name, body=body)

    def tokens_of(self, policy: str) -> list[NomadToken]:
        """Return the tokens that `create_token` has made for a policy, with their secrets."""
        with self._explained():
            return [
                self._client.ask(self._acl, "token", found.accessor_id, answer=NomadToken)
                for found in self._client.ask(self._acl, "tokens", answer=list[NomadToken])
                if (found.name, found.type, found.policies) == (policy, "client", [policy])
            ]

    def create_token(self, policy: str) -> NomadToken:
        """Make a token with one policy, which is its name, too."""
        body = {"Name": policy, "Type": "client", "Policies": [policy]}
        with self._explained():
            return self._client.ask(self._acl, "token", answer=NomadToken, method="post", json=body)

    def revoke_tokens(self, policy: str, kept: str) -> int:
        """Delete those tokens, except for one; return how many.

        Args:
            policy: The policy that they have.
            kept: The secret of the token that stays.
        """
        others = [each for each in self.tokens_of(policy) if each.secret_id != kept]
        with self._explained(), self._client.explained():
            for each in others:
                self._client.send(self._acl, "token", each.accessor_id, method="delete")
        return len(others)

    def machines(self) -> list[ClientMachine]:
        """Return every machine that is ready, with the number of its slots."""
        params = {"filter": _RUNNING, "namespace": "*", "task_states": "false"}
        with self._explained():
            clients = self._client.ask(self._nodes, answer=list[_Client])
            placed = self._client.ask(self._allocations, answer=list[_Placed], params=params)
        slots = Counter(each.node_id for each in placed)
        return [
            ClientMachine(
                id=each.id,
                address=each.address,
                eligible=each.scheduling_eligibility == "eligible",
                slots=slots[each.id],
            )
            for each in clients
            if each.status == "ready"
        ]

    def drain(self, machine: str, deadline_s: float) -> None:
        """Give a machine no further slots; those that it has end by then.

        Args:
            machine: Its id.
            deadline_s: After how long slots that still run are stopped.
        """
        spec = {"Deadline": int(deadline_s * 1e9), "IgnoreSystemJobs": True}
        self._change_drain(machine, {"DrainSpec": spec})

    def keep(self, machine: str) -> None:
        """Give a machine slots again, which was drained."""
        self._change_drain(machine, {"DrainSpec": None, "MarkEligible": True})

    def _change_drain(self, machine: str, body: Any) -> None:
        with self._explained(), self._client.explained():
            self._client.send(self._node, machine, "drain", method="put", json=body)

    def gossip_keys(self) -> list[str]:
        """Return the gossip keys that servers accept.

        Raises:
            Unavailable: When a server does not answer, or gossip is not encrypted.
        """
        with self._explained():
            found = self._client.ask(self._agent, "keyring", "list", answer=_Keyring)
        return sorted(found.keys or ())

    def use_gossip_key(self, key: str) -> None:
        """Let all servers encrypt gossip with a key; they accept those they had before, too.

        Args:
            key: 32 bytes in base64.

        Raises:
            Unavailable: When a server does not answer; the call may be repeated.
        """
        for operation in ("install", "use"):
            self._change_keyring(operation, key)

    def remove_gossip_key(self, key: str) -> None:
        """Let no server accept a gossip key; Nomad refuses this for the one in use."""
        self._change_keyring("remove", key)

    def _change_keyring(self, operation: str, key: str) -> None:
        path, body = ("keyring", operation), {"Key": key}
        with self._explained(), self._client.explained():
            self._client.send(self._agent, *path, method="put", json=body)

    def _send(self, *path: str, body: Any) -> None:
        with self._client.explained():
            self._client.send(self._acl, *path, method="post", json=body)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a refusal into a sentence for administrators."""
        try:
            yield
        except NotAllowed as error:
            raise Unavailable(
                f"Nomad at {self._address} refuses our token: this takes a management token."
            ) from error
        except (ServerFault, Unavailable) as error:
            if _DISABLED in error.message:
                raise Unavailable(
                    f"Nomad at {self._address} has no ACLs: set `acl {{ enabled = true }}` in the "
                    "configuration of its servers and clients."
                ) from error
            raise
