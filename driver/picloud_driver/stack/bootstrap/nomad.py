"""What Nomad needs: ACLs, the API's policy, and its token."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from picloud_jobspecs.render import BURST_PREFIX

from picloud_driver.nomad.administrator import NomadAdministrator
from picloud_driver.nomad.bootstrap import POLICY, rules
from picloud_driver.stack.bootstrap.change import (
    Change,
    Found,
    Replacement,
    access_steps,
    require_own,
    require_version,
)
from picloud_driver.stack.bootstrap.gossip import replacement
from picloud_driver.stack.servers.nomad import Nomad, access

if TYPE_CHECKING:
    from picloud_driver.stack.addresses import VendorServer
    from picloud_driver.stack.bootstrap.keys import KeyFile


def changes(server: VendorServer, keys: KeyFile, *, adopt: bool) -> list[Change]:
    """Return what Nomad lacks, in order; see `consul.changes`."""
    wanted = rules(access(server).namespace)

    def make_first_token() -> None:
        keys.store(nomad_management=keys.now.nomad_management or str(uuid.uuid4()))
        with NomadAdministrator(access(server)) as nomad:
            nomad.make_first_token(keys.now.nomad_management)

    def set_policy() -> None:
        with NomadAdministrator(access(managed)) as nomad:
            nomad.set_policy(POLICY, wanted, keys.mark)

    def make_token() -> None:
        with NomadAdministrator(access(managed)) as nomad:
            # Nomad chooses it. One that was made and not stored is found again.
            made = nomad.tokens_of(POLICY) or [nomad.create_token(POLICY)]
        keys.store(nomad=made[0].secret_id)

    steps = access_steps(
        keys.path,
        POLICY,
        make_first_token=make_first_token,
        set_policy=set_policy,
        make_token=make_token,
    )
    token = server.token or keys.now.nomad_management
    managed = msgspec.structs.replace(server, token=token)
    with NomadAdministrator(access(managed)) as nomad:
        # Also without a token: an address at which no Nomad answers is reported.
        if not server.token and not nomad.manages():
            return steps.all()
        where = f"Nomad at {server.address}"
        require_version(where, Nomad.program, nomad.version())
        found = nomad.policy(POLICY)
        data = f"jobs whose names begin with {BURST_PREFIX}" if nomad.jobs(BURST_PREFIX) else ""
        owner = found.description if found else None
        require_own(where, Found(owner, data), keys.mark, adopt=adopt)
        has_policy = found and (found.rules, found.description) == (wanted, keys.mark)
        has_token = keys.now.nomad in [each.secret_id for each in nomad.tokens_of(POLICY)]
    return steps.missing(has_policy=bool(has_policy), has_token=bool(has_token))


def tokens(server: VendorServer, keys: KeyFile) -> Replacement:
    """Return how the API's token in Nomad is replaced."""
    token = server.token or keys.now.nomad_management
    managed = access(msgspec.structs.replace(server, token=token))

    def make() -> None:
        with NomadAdministrator(managed) as nomad:
            keys.store(nomad=nomad.create_token(POLICY).secret_id)

    def revoke() -> int:
        with NomadAdministrator(managed) as nomad:
            return nomad.revoke_tokens(POLICY, keys.now.nomad)

    return Replacement(make, revoke)


def gossip(server: VendorServer, keys: KeyFile) -> Replacement:
    """Return how the key of Nomad's gossip is replaced."""
    token = server.token or keys.now.nomad_management
    managed = access(msgspec.structs.replace(server, token=token))
    opened = partial(NomadAdministrator, managed)
    return replacement(opened, keys, "nomad_gossip", f"Nomad at {server.address}")
