"""What Consul needs: ACLs that deny by default, the API's policy, and its token."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.consul.administrator import ConsulAdministrator
from picloud_driver.consul.bootstrap import METHOD, POLICY
from picloud_driver.policies import policy
from picloud_driver.stack.bootstrap.change import (
    Change,
    Found,
    Replacement,
    access_steps,
    require_own,
    require_version,
)
from picloud_driver.stack.bootstrap.gossip import replacement
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.consul import Consul, access

if TYPE_CHECKING:
    from picloud_driver.stack.addresses import VendorServer
    from picloud_driver.stack.bootstrap.keys import KeyFile

_PREFIX = "picloud/"


def changes(server: VendorServer, keys: KeyFile, *, adopt: bool) -> list[Change]:
    """Return what Consul lacks, in order.

    Args:
        server: Its address; without a token, bootstrap's own management token is used or made.
        keys: The keys of the cluster.
        adopt: Whether to take over what another cluster has left.

    Raises:
        PiCloudError: When Consul refuses a request or does not answer.
        StackFault: When it cannot be used as it is; says why.
    """
    rules = policy("consul.hcl")

    def make_first_token() -> None:
        keys.store(consul_management=keys.now.consul_management or str(uuid.uuid4()))
        with ConsulAdministrator(access(server)) as consul:
            consul.make_first_token(keys.now.consul_management)

    def set_policy() -> None:
        with ConsulAdministrator(access(managed)) as consul:
            consul.set_policy(POLICY, rules, keys.mark)

    def make_token() -> None:
        keys.store(consul=keys.now.consul or str(uuid.uuid4()))
        with ConsulAdministrator(access(managed)) as consul:
            consul.create_token(keys.now.consul, POLICY)

    steps = access_steps(
        keys.path,
        POLICY,
        make_first_token=make_first_token,
        set_policy=set_policy,
        make_token=make_token,
    )
    managed = with_token(server, keys)
    token = managed.token
    where = f"Consul at {server.address}"
    _require_closed(server, where)
    if not token:
        return steps.all()
    with ConsulAdministrator(access(managed)) as consul:
        if not server.token and not consul.knows(token):
            return steps.all()
        require_version(where, Consul.program, consul.version())
        found = consul.policy(POLICY)
        data = f"keys below {_PREFIX}" if consul.keys(_PREFIX) else ""
        owner = found.description if found else None
        require_own(where, Found(owner, data), keys.mark, adopt=adopt)
        has_policy = found and (found.rules, found.description) == (rules, keys.mark)
        has_token = keys.now.consul and consul.knows(keys.now.consul)
    return steps.missing(has_policy=bool(has_policy), has_token=bool(has_token))


def with_token(server: VendorServer, keys: KeyFile) -> VendorServer:
    """Return Consul with a management token, if one is known."""
    return msgspec.structs.replace(server, token=server.token or keys.now.consul_management)


def tokens(server: VendorServer, keys: KeyFile) -> Replacement:
    """Return how the API's token in Consul is replaced."""
    managed = access(with_token(server, keys))

    def make() -> None:
        made = str(uuid.uuid4())
        with ConsulAdministrator(managed) as consul:
            consul.create_token(made, POLICY)
        keys.store(consul=made)

    def revoke() -> int:
        with ConsulAdministrator(managed) as consul:
            return consul.revoke_tokens(POLICY, METHOD, keys.now.consul)

    return Replacement(make, revoke)


def gossip(server: VendorServer, keys: KeyFile) -> Replacement:
    """Return how the key of Consul's gossip is replaced."""
    managed = access(with_token(server, keys))
    opened = partial(ConsulAdministrator, managed)
    return replacement(opened, keys, "consul_gossip", f"Consul at {server.address}")


def _require_closed(server: VendorServer, where: str) -> None:
    """Refuse a Consul that lets clients without a token read PiCloud's keys."""
    stranger = msgspec.structs.replace(server, token="")
    with ConsulAdministrator(access(stranger)) as consul:
        if consul.is_open(f"{_PREFIX}ping"):
            raise StackFault(
                f"{where} lets clients without a token read all keys: set `acl.enabled` to true "
                'and `acl.default_policy` to "deny" in the configuration of its servers.'
            )
