"""Usage: what an account has stored."""

from __future__ import annotations

import msgspec

from picloud_model.wire.body import Answer, Request


class UsageRequest(Request, frozen=True):
    """Ask what the account has stored: `POST /v1/usage`. It reads all of it, or lists it."""


class StoredBytes(msgspec.Struct, frozen=True):
    """How many things of a kind are stored, and their bytes in all."""

    count: int
    size: int


class AccountUsage(Answer, frozen=True):
    """What an account has stored.

    `jobs` are the states of jobs, with arguments, results and output of up to 256 KiB; `blobs` are
    larger ones, modules, and everything of batches that were moved out of the state store.
    """

    jobs: StoredBytes
    blobs: StoredBytes
