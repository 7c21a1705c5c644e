"""Requests of tests to a stack's own Nomad, beyond those that the platform makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from picloud_driver.stack.addresses import VendorServer


def get(nomad: VendorServer, path: str) -> Any:
    """Return what Nomad answers to a GET of a path below `/v1/`."""
    files = {"ca_certs": nomad.ca_file, "cert_file": nomad.cert_file, "key_file": nomad.key_file}
    with urllib3.PoolManager(**files) as pool:
        headers = {"X-Nomad-Token": nomad.token}
        return pool.request("GET", f"{nomad.address}/v1/{path}", headers=headers).json()
