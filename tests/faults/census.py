"""The census of a stack: what work leaves behind once it has ended, which has to be nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import boto3
import msgspec
from picloud_api.store.records import Ready, Staged, StoredQuery, Waiting
from picloud_driver.stack.servers.vault import VaultRootKeys, access
from picloud_driver.vault.client import vault_client

from tests import guard
from tests.e2e.nomad_requests import get
from tests.e2e.stack_hashicorp import HashiCorpStack, close
from tests.polling import until

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.stacks import EmbeddedStack, Stack

OF_WORK: Final = {
    "ready batches": Ready.prefix,
    "waiting batches": Waiting.prefix,
    "parts of submits": Staged.prefix,
    "queries": StoredQuery.prefix,
}
"""Records of the state store that exist while a job does something, by their prefix."""
QUIET_S: Final = 60.0


def until_quiet(stack: HashiCorpStack, leases: int) -> dict[str, int]:
    """Wait until nothing of finished work is left on a stack that runs; return what is left.

    Args:
        stack: A stack whose jobs have all ended.
        leases: How many leases Vault had before.
    """
    left: dict[str, int] = {}

    def look() -> bool:
        left.clear()
        left.update(asyncio.run(_records(stack)))
        left["uploads to S3"] = _uploads(stack)
        left["leases of Vault"] = max(0, vault_leases(stack) - leases)
        left["allocations without a slot"] = max(0, _allocations(stack) - len(stack.slots()))
        return not any(left.values())

    try:
        until(look, "nothing is left", QUIET_S)
    except TimeoutError:
        return {what: count for what, count in left.items() if count}
    return {}


async def _records(stack: Stack) -> dict[str, int]:
    ports = await stack.open_ports()
    try:
        return {what: len(await ports.state.scan(prefix)) for what, prefix in OF_WORK.items()}
    finally:
        await close(ports)


def after_stop(stack: EmbeddedStack) -> dict[str, int]:
    """Return what is left of a stack that was stopped: processes, and mounts below its folder.

    Where the state store can be read without a server, what `until_quiet` counts there, too.
    """
    mounts = guard.mounts(stack.data.parent)
    left = {"processes": len(stack.processes()), "mounts": len(mounts)}
    if not isinstance(stack, HashiCorpStack):
        left |= asyncio.run(_records(stack))
    return {what: count for what, count in left.items() if count}


def vault_leases(stack: HashiCorpStack) -> int:
    """Return how many leases Vault keeps, of all kinds."""
    client = root_client(stack)
    try:
        return _below(client, "")
    finally:
        client.adapter.close()


def _below(client: Any, prefix: str) -> int:
    listed = client.list(f"sys/leases/lookup/{prefix}")
    names = listed["data"]["keys"] if listed else []
    return sum(_below(client, prefix + name) if name.endswith("/") else 1 for name in names)


def root_client(stack: HashiCorpStack) -> Any:
    """Return a client of the stack's Vault that may do everything."""
    server = stack.addresses().vault
    keys = stack.data / "stack" / "vault.keys.json"
    root = msgspec.json.decode(keys.read_bytes(), type=VaultRootKeys).root_token
    return vault_client(access(msgspec.structs.replace(server, token=root)), 1)


def _uploads(stack: HashiCorpStack) -> int:
    s3 = stack.addresses().s3
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
    )
    try:
        return len(client.list_multipart_uploads(Bucket=s3.name).get("Uploads", []))
    finally:
        client.close()


def _allocations(stack: HashiCorpStack) -> int:
    """Return how many allocations of slots Nomad runs."""
    nomad = stack.addresses().nomad
    return sum(alloc["ClientStatus"] == "running" for alloc in get(nomad, "allocations"))
