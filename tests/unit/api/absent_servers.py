"""Addresses at which nothing listens, in place of the servers of the HashiCorp stack."""

from __future__ import annotations

from picloud_driver.stack.addresses import Addresses, Bucket, VendorServer

SERVERS = Addresses(
    consul=VendorServer("http://127.0.0.1:1"),
    vault=VendorServer("http://127.0.0.1:1", "token"),
    nomad=VendorServer("http://127.0.0.1:1"),
    nats=VendorServer("nats://127.0.0.1:1"),
    s3=Bucket("http://127.0.0.1:1", "box"),
)
