"""Buckets: the objects that users keep under keys. The port, and one module per adapter."""

from picloud_driver.bucket.port import (
    BucketPort,
    ObjectEntry,
    ObjectInfo,
    ObjectPage,
    ObjectPart,
    ObjectProperties,
    OpenObject,
    WriteCondition,
)

__all__ = [
    "BucketPort",
    "ObjectEntry",
    "ObjectInfo",
    "ObjectPage",
    "ObjectPart",
    "ObjectProperties",
    "OpenObject",
    "WriteCondition",
]
