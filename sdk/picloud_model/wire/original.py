"""The HTTP interface of the original PiCloud, for programs in other languages: JSON only."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from picloud_model.wire.body import Answer, Jid, Request
from picloud_model.wire.limits import MAX_ITEMS


class OriginalAnswer(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the answers of the original interface; `version` is that of the interface."""

    version: str = "0.1"


class OriginalInfoQuery(Request, frozen=True):
    """Return what is known of jobs: `GET /job/?jids=1&jids=2&field=status`.

    `jids` may be repeated, or separated by commas. Each `field` is a key of `InfoKey`; without any,
    the answer has the status, what was printed, the run time and the exception.
    """

    jids: Annotated[list[Jid], Meta(min_length=1, max_length=MAX_ITEMS)]
    field: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)] = []


class OriginalInfos(OriginalAnswer, frozen=True):
    """What is known of jobs, by jid and field."""

    info: dict[str, dict[str, Any]]


class OriginalResultQuery(Request, frozen=True):
    """Return the result of a job that is done: `GET /job/result/?jid=1`.

    Results that JSON can hold are returned: None, numbers, text, bytes (as base64), lists, tuples
    and dicts of these. Numbers that are not finite are null.
    """

    jid: Jid


class OriginalResult(OriginalAnswer, frozen=True):
    """The result of a job."""

    result: Any
