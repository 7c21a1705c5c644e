"""`cloud.rest`: functions that programs in any language call over HTTP.

    url = cloud.rest.publish(square, "square")
    cloud.result(cloud.rest.invoke("square", x=5))

Each call is a job.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cloud._arguments.option_values import short_label
from cloud._arguments.options import only_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._endpoints.calls import mapped_calls, requests_of
from cloud._packing.packer import name_of
from cloud._resources.rest import EndpointClient
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloud._jobs.job import Job

__all__ = [
    "create_key",
    "info",
    "invoke",
    "invoke_map",
    "list",
    "list_keys",
    "publish",
    "publish_app",
    "remove",
    "revoke_key",
    "rollback",
]


@of_users
def publish(
    func: Callable[..., Any],
    label: str,
    out_encoding: str = "json",
    *,
    content_type: str = "",
    public: bool = False,
    calls_per_minute: int | None = None,
    origins: Sequence[str] = (),
    warm: int = 0,
    **kwargs: Any,
) -> str:
    """Publish a function as a web service, in place of an earlier one of the same label.

    The function travels now, with its modules: publish it again after an edit. Arguments are
    given by name, and checked by the annotations of the function: simple types, `bytes` (a
    file), dates and times, enums, `Literal`, unions, dataclasses and structs of msgspec, and
    lists, dicts, sets and tuples of these. The function gets objects of these types. An
    annotation of another type, or none, allows every value of JSON.

    Args:
        func: The function.
        label: Up to 64 letters, digits, hyphens, underscores and dots.
        out_encoding: How results are returned: "json"; "raw" for bytes or text as they are; or
            "pickle" for programs in Python that trust you.
        content_type: The type of raw results, as "image/png". By default text is text/plain, and
            bytes are application/octet-stream.
        public: Whether everybody may call it, without a key. By default the keys of your account
            and those of `create_key` may.
        calls_per_minute: Rate limit of the URL, for all callers together; by default there is none.
        origins: Origins of web pages whose scripts may call it: "https://example.org", "*" for all.
        warm: How many slots are kept running, up to 100, so that no call waits for one to start.
        kwargs: Options of its jobs, as for `cloud.call`: `_type`, `_env`, `_max_runtime`, ...

    Returns:
        The URL that calls it. Requests send a key by HTTP Basic authentication.

    Raises:
        CloudException: When the label or an option is not valid, or the function cannot be sent.

    >>> def square(x: int) -> int:
    ...     return x * x
    >>> cloud.rest.publish(square, "square").endswith("/square")
    True
    """
    from cloud._endpoints.access import checked_access  # noqa: PLC0415 - few programs publish
    from cloud._endpoints.argument_type import Conversions  # noqa: PLC0415
    from cloud._endpoints.encoding import checked_encoding  # noqa: PLC0415
    from cloud._endpoints.parameters import read_signature  # noqa: PLC0415
    from cloud._endpoints.publication import publish_job  # noqa: PLC0415

    encoding = checked_encoding(out_encoding, content_type)
    options = only_options(kwargs, "options begin with an underscore.")
    access = checked_access(public, calls_per_minute, origins, warm)
    signature = read_signature(func)
    if signature.conversions:
        options = replace(options, name=name_of(func))
        func = Conversions(func, signature.conversions)
    return publish_job(func, label, signature, encoding, options, access=access)


@of_users
def publish_app(
    app: Callable[..., Any],
    label: str,
    *,
    public: bool = False,
    calls_per_minute: int | None = None,
    warm: int = 0,
    **kwargs: Any,
) -> str:
    """Publish an application of WSGI or ASGI: Flask, Django, Falcon, Starlette, FastAPI, ...

    Each request to the URL, or to an address below it, is a job that calls the application once. A
    process that stays warm makes the application for its first request.

    Args:
        app: A function without arguments that returns the application, or the application itself if
            it is a function, or a variable of a module, which travels, or can be pickled.
        label: Up to 64 letters, digits, hyphens, underscores and dots.
        public: Whether everybody may send requests, without a key.
        calls_per_minute: Rate limit of the URL, for all callers together; by default there is none.
        warm: How many slots are kept running, as for `publish`.
        kwargs: Options of its jobs, as for `cloud.call`: `_type`, `_env`, `_max_runtime`, ...

    Returns:
        The URL of the application.

    Raises:
        CloudException: When the label or an option is not valid, or the application cannot be sent.
        TypeError: When it is not an application.

    >>> def hello(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/plain")])
    ...     return [b"hello"]
    >>> cloud.rest.publish_app(hello, "hello").endswith("/hello")
    True
    """
    from cloud._endpoints.access import checked_access  # noqa: PLC0415 - few programs publish
    from cloud._endpoints.application import ENCODING, SIGNATURE, application_of  # noqa: PLC0415
    from cloud._endpoints.publication import publish_job  # noqa: PLC0415

    options = only_options(kwargs, "options begin with an underscore.")
    access = checked_access(public, calls_per_minute, warm=warm)
    options = replace(options, name=name_of(app))
    return publish_job(application_of(app), label, SIGNATURE, ENCODING, options, access=access)


@of_users
def remove(label: str) -> None:
    """Remove a published function. Jobs of earlier calls go on.

    Args:
        label: Its label.

    Raises:
        CloudException: When no function is published under this label.

    >>> _ = cloud.rest.publish(lambda: "pong", "ping")
    >>> cloud.rest.remove("ping")
    """
    _client().remove(short_label(label))


@of_users
def rollback(label: str, version: int | None = None) -> int:
    """Make an earlier version of a published function the current one, at once.

    Publishing again keeps the version before: up to 10 versions are kept. Each is called at the URL
    with `/v/VERSION` at its end; the URL itself calls the current one.

    Args:
        label: Its label.
        version: The version; by default the one before the current one.

    Returns:
        The version that is current now.

    Raises:
        CloudException: When no function is published under this label, or the version is not kept.

    >>> _ = cloud.rest.publish(lambda: "old", "text")
    >>> _ = cloud.rest.publish(lambda: "new", "text")
    >>> before = cloud.rest.info("text")["version"]
    >>> cloud.rest.rollback("text") == before - 1
    True
    >>> cloud.rest.invoke("text", _wait=60)
    'old'
    """
    checked, endpoints = short_label(label), _client()
    if version is None:
        known = endpoints.info(checked)
        earlier = [each for each in known.versions if each < known.version]
        if not earlier:
            raise CloudValueError(f"No version of {label!r} before {known.version} is kept.")
        version = earlier[-1]
    if type(version) is not int or version < 1:
        raise CloudValueError(f"version must be a number from 1, not {version!r:.80}.")
    return endpoints.rollback(checked, version).version


@of_users
def create_key(label: str) -> dict[str, Any]:
    """Create a key that calls one published function and opens nothing else.

    Its id and secret are the user name and the password of requests to the URL. With it a program
    reads the results of its calls, but not why one failed. It stays valid when you publish the
    label again; it ends when you revoke it or remove the function.

    Args:
        label: The label of the function.

    Returns:
        `api_key` (its id), `api_secretkey` (its secret, which cannot be requested later) and
        `label`.

    Raises:
        CloudException: When no function is published under this label, or it has 100 keys.

    >>> _ = cloud.rest.publish(lambda: "pong", "ping")
    >>> key = cloud.rest.create_key("ping")
    >>> cloud.rest.revoke_key("ping", key["api_key"])
    """
    made = _client().create_key(short_label(label))
    return {"api_key": made.id, "api_secretkey": made.secret, "label": label}


@of_users
def list_keys(label: str) -> builtins.list[str]:
    """Return the ids of the keys of a published function, the oldest first.

    Args:
        label: The label of the function.

    Raises:
        CloudException: When no function is published under this label.
    """
    return [each.id for each in _client().keys(short_label(label))]


@of_users
def revoke_key(label: str, api_key: str) -> None:
    """Revoke a key of a published function: it is refused from now on.

    Args:
        label: The label of the function.
        api_key: The id of the key.

    Raises:
        CloudException: When no function is published under this label, or it has no such key.
    """
    _client().revoke_key(short_label(label), str(api_key))


@of_users
def list() -> builtins.list[str]:  # noqa: A001 - users write cloud.rest.list
    """Return the labels of your published functions, in order.

    >>> _ = cloud.rest.publish(lambda: "pong", "ping")
    >>> "ping" in cloud.rest.list()
    True
    """
    return [each.label for each in _client().list()]


@of_users
def info(label: str) -> dict[str, Any]:
    """Return the URL, parameters and settings of a published function.

    Args:
        label: Its label.

    Returns:
        Its `label`, `url`, the name of its `function`, when it was `published` (seconds since the
        epoch), its `parameters` (for each name its `type`, "any" if all values are allowed, and
        whether it is `required`), whether it takes arguments of other names (`takes_any`), how its
        results are returned (`out_encoding`, and `content_type`, None for that of each result), the
        current `version`, the `versions` that are kept, whether it is `public`, its rate limit
        (`calls_per_minute`, None for none), the `origins` whose pages may call it, and how many
        slots are kept running for it (`warm`).

    Raises:
        CloudException: When no function is published under this label.

    >>> _ = cloud.rest.publish(lambda x: x, "same")
    >>> cloud.rest.info("same")["parameters"]
    {'x': {'type': 'any', 'required': True}}
    """
    from cloud._endpoints.endpoint_info import as_dictionary  # noqa: PLC0415 - few programs publish

    return as_dictionary(_client().info(short_label(label)), client().address.url)


@of_users
def invoke(label: str, /, *, _wait: float | None = None, **kwargs: Any) -> Any:
    """Call a published function, as a program in another language does.

    Args:
        label: Its label.
        _wait: How many seconds to wait for the result; by default it is not waited for.
        kwargs: Its arguments: None, numbers, text, bytes, and lists and dicts of these.

    Returns:
        The jid of the job; with `_wait` its result.

    Raises:
        CloudException: When no function is published under this label, or an argument is missing,
            unknown or of another type; with `_wait` also when the job fails.
        CloudTimeoutError: When the job has not ended in time; it goes on.

    >>> _ = cloud.rest.publish(lambda x: x + 1, "next")
    >>> cloud.result(cloud.rest.invoke("next", x=4))
    5
    >>> cloud.rest.invoke("next", x=5, _wait=60)
    6
    """
    current = client()
    (calls,) = requests_of([kwargs])
    (jid,) = EndpointClient(current.transport).invoke(short_label(label), calls)
    return current.job(jid) if _wait is None else current.result(jid, _wait)


@of_users
def invoke_map(label: str, /, **kwargs: Any) -> builtins.list[Job]:
    """Call a published function once for each value of its arguments, each time as a job.

    Args:
        label: Its label.
        kwargs: For each argument its values: the nth call gets the nth value of each.

    Returns:
        The jids, in the order of the values.

    Raises:
        CloudException: As for `invoke`, or when an argument has more values than another. Requests
            before the refused one, of up to 1,000 calls each, have been submitted.

    >>> _ = cloud.rest.publish(lambda x, y: x + y, "sum")
    >>> cloud.result(cloud.rest.invoke_map("sum", x=[1, 2], y=[10, 20]))
    [11, 22]
    """
    current, checked = client(), short_label(label)
    invoked = EndpointClient(current.transport).invoke
    requests = requests_of(mapped_calls(kwargs))
    return [current.job(jid) for calls in requests for jid in invoked(checked, calls)]


def infos() -> builtins.list[dict[str, Any]]:
    """Return what `info` returns for each published function, in the order of their labels."""
    from cloud._endpoints.endpoint_info import as_dictionary  # noqa: PLC0415 - few programs publish

    return [as_dictionary(each, client().address.url) for each in _client().list()]


def _client() -> EndpointClient:
    return EndpointClient(client().transport)


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
