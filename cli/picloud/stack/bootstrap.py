"""What `picloud admin bootstrap` does: it plans for all servers first, then changes each."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from cloud import CloudException
from cloud._config.settings import environment
from picloud_driver.stack import records

from picloud import output
from picloud.stack.servers import needed_packages, stack_errors

if TYPE_CHECKING:
    from pathlib import Path

_SERVERS: Final = 5
"""How many servers a stack has."""


def run(directory: Path, *, plan: bool, adopt: bool) -> None:
    """Make the servers that the environment names ready for the platform.

    Args:
        directory: Holds the keys of the cluster.
        plan: Whether only to say what would be made.
        adopt: Whether to take over what another cluster has left on the servers.

    Raises:
        CloudException: When a server cannot be used; what was made before stays.
    """
    with needed_packages():
        from picloud_driver.stack.bootstrap.keys import KeyFile  # noqa: PLC0415 - see `hashicorp`
        from picloud_driver.stack.bootstrap.servers import Bootstrap  # noqa: PLC0415 - as above

    with stack_errors():
        bootstrap = Bootstrap(environment(), KeyFile(directory), adopt=adopt)
        # All of them, before any is changed: one that cannot be used stops everything.
        needed = {name: bootstrap.plan(name) for name in bootstrap.servers}
        if plan:
            for name, changes in needed.items():
                _show(name, bootstrap.servers[name].address)
                for change in changes:
                    output.text(f"  needs  {change.text}")
            count = sum(map(len, needed.values()))
            output.text(f"{count} to make; nothing was changed.")
            return
        with records.exclusive(directory):
            bootstrap = Bootstrap(environment(), KeyFile(directory), adopt=adopt)
            for name in bootstrap.servers:
                _show(name, bootstrap.servers[name].address)
                for text in bootstrap.run(name):
                    output.text(f"  made   {text}")
            file = bootstrap.write_environment()
    output.text(f"The servers are ready. The API's variables are in {file}; use them with:")
    output.text(f"  . {shlex.quote(str(file))} && picloud up --stack hashicorp")
    if len(bootstrap.servers) < _SERVERS:
        output.hint("`picloud up` starts the servers that the environment does not name.")


def rotate(directory: Path, *, gossip: bool, revoke: bool) -> None:
    """Replace tokens of the API, or gossip keys, in the servers that the environment names.

    Args:
        directory: Holds the keys of the cluster.
        gossip: Whether the keys of gossip are replaced.
        revoke: Whether to end those that were replaced before; no others are made then.

    Raises:
        CloudException: When a server cannot be used; what was made before stays.
    """
    with needed_packages():
        from picloud_driver.stack.bootstrap.keys import KeyFile  # noqa: PLC0415 - see `hashicorp`
        from picloud_driver.stack.bootstrap.servers import Bootstrap  # noqa: PLC0415 - as above

    path = KeyFile(directory).path
    if not path.exists():
        raise CloudException(
            f"{path} does not exist: name the directory that picloud admin bootstrap has written."
        )
    with stack_errors(), records.exclusive(directory):
        keys = KeyFile(directory)
        bootstrap = Bootstrap(environment(), keys, adopt=False)
        if revoke:
            old = bootstrap.remove_old_gossip_keys if gossip else bootstrap.revoke_old_tokens
            for name, count in old():
                output.text(f"{name:<7}  {count} revoked")
            return
        if gossip:
            for name in bootstrap.new_gossip_keys():
                output.text(f"{name:<7}  a new gossip key")
            files = " and ".join(map(str, keys.write_gossip_keys()))
            output.text(f"The keys are in {files}; the old ones are still accepted.")
            output.text("Store them where new machines read theirs, then end the old ones with:")
        else:
            for name in bootstrap.new_tokens():
                kind = "key" if name == "s3" else "token"
                output.text(f"{name:<7}  a new {kind} of the API")
            file = bootstrap.write_environment()
            output.text(f"The API's variables are in {file}; its old tokens are still valid.")
            output.text("Start every API again with these variables, then end the old tokens with:")
    also = " --gossip" if gossip else ""
    output.text(f"  picloud admin rotate{also} --keys {shlex.quote(str(directory))} --revoke")


def _show(name: str, address: str) -> None:
    output.text(f"{name:<7}  {address}")
