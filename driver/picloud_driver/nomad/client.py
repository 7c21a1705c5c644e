"""Requests to Nomad: python-nomad over one pool of keep-alive connections."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import requests
from nomad.api.exceptions import (
    BadRequestNomadException,
    BaseNomadException,
    TimeoutNomadException,
    URLNotAuthorizedNomadException,
    URLNotFoundNomadException,
)
from picloud_model.errors import NotAllowed, ServerFault, Unavailable
from requests.adapters import HTTPAdapter

from picloud_driver.network import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nomad import api

_T = TypeVar("_T")

CONNECT_S: Final = 3.0
ANSWER_S: Final = 10.0
"""Longest time without a byte of an answer, in addition to the time of a long poll."""
_NEEDED: Final = (
    "submit-job, read-job, list-jobs, parse-job and read-logs in its namespace, and node:read"
)
_ALREADY_THERE: Final = "Enforcing job modify index 0"
_INVALID: Final = "validation failed"


@dataclasses.dataclass(frozen=True)
class NomadAccess:
    """The address of Nomad and the credentials for it.

    Args:
        address: A URL; `https://` needs certificates or those that come with Python.
        token: An ACL token; "" if Nomad has no ACLs. It is in no message and no `repr`.
        namespace: The namespace of bursts.
        ca_file: The authority that signed Nomad's certificate, in PEM.
        cert_file: The client's certificate, if Nomad requires one.
        key_file: The key of the client's certificate.

    >>> NomadAccess(token="hidden").address
    'http://127.0.0.1:4646'
    """

    address: str = "http://127.0.0.1:4646"
    token: str = dataclasses.field(default="", repr=False)
    namespace: str = "default"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class NoSuchThing(Unavailable):
    """Nomad knows nothing of that name; is another server at its address?"""


class AlreadyThere(Exception):
    """A job of that name exists."""


class NomadClient:
    """Sends requests to Nomad; every method raises the errors of `explained`.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: NomadAccess, connections: int) -> None:
        self._address = access.address
        self._namespace = access.namespace
        self._session = _session(connections)
        # Not `nomad.Nomad`, which takes omitted settings from the environment.
        self._settings: dict[str, Any] = {
            "address": access.address.rstrip("/"),
            "token": access.token or None,
            "verify": access.ca_file or True,
            "cert": (access.cert_file, access.key_file) if access.cert_file else (),
            "session": self._session,
        }

    def endpoint(self, kind: type[api.Requester], **settings: Any) -> api.Requester:
        """Return a part of Nomad's interface that uses the common connections."""
        return kind(**self._settings, **settings)

    def ask(self, endpoint: api.Requester, *path: str, answer: type[_T], **request: Any) -> _T:
        """Send a request; return the answer as this type."""
        with self.explained():
            return msgspec.json.decode(self.send(endpoint, *path, **request).content, type=answer)

    def ask_with_index(
        self, endpoint: api.Requester, *path: str, answer: type[_T], **request: Any
    ) -> tuple[_T, int]:
        """Send a request; return the answer as this type, and the index of its state."""
        with self.explained():
            response = self.send(endpoint, *path, **request)
            value = msgspec.json.decode(response.content, type=answer)
            return value, int(response.headers["X-Nomad-Index"])

    def send(
        self,
        endpoint: api.Requester,
        *path: str,
        method: str = "get",
        params: Mapping[str, str] | None = None,
        json: object = None,
        index: int = 0,
        wait_s: float = 0.0,
        answer_s: float = ANSWER_S,
        stream: bool = False,
    ) -> requests.Response:
        """Send one request; call it inside `explained`.

        Args:
            endpoint: The part of the interface.
            path: The path below it.
            method: The HTTP method.
            params: The query.
            json: The body.
            index: Wait until the state has changed since this index; 0 does not wait.
            wait_s: Longest time of that wait.
            answer_s: Longest time without a byte of the answer, in addition.
            stream: Whether the answer is read as it arrives.
        """
        query: dict[str, str | int] = {"namespace": self._namespace, **(params or {})}
        if index:
            query |= {"index": index, "wait": f"{max(1, round(wait_s * 1000))}ms"}
        response: requests.Response = endpoint.request(
            *path,
            method=method,
            params=query,
            json=json,
            stream=stream,
            # Nomad adds up to a sixteenth to the requested wait.
            timeout=(CONNECT_S, answer_s + wait_s * 17 / 16),
        )
        return response

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of python-nomad and requests into one sentence each.

        Raises:
            NoSuchThing: When Nomad knows nothing of that name.
            AlreadyThere: When a new job exists already.
            NotAllowed: When Nomad refuses the token.
            ServerFault: When the request was wrong.
            Unavailable: When Nomad does not answer, or sends an unexpected answer.
        """
        try:
            yield
        except URLNotFoundNomadException as error:
            raise NoSuchThing from error
        except URLNotAuthorizedNomadException as error:
            raise NotAllowed(
                f"Nomad at {self._address} refuses the server's token; it has to allow {_NEEDED}."
            ) from error
        except BaseNomadException as error:
            why = _text(error)
            if _ALREADY_THERE in why:
                raise AlreadyThere from error
            if isinstance(error, BadRequestNomadException) or _INVALID in why:
                raise ServerFault(f"Nomad at {self._address} refuses a request: {why}") from error
            raise self._unavailable(why) from error
        except (TimeoutNomadException, requests.RequestException, OSError) as error:
            raise self._unavailable(reason(error)) from error
        except (msgspec.MsgspecError, LookupError, ValueError) as error:
            raise self._unavailable(f"its answer is none of Nomad 1.10's ({error})") from error

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"Nomad at {self._address} cannot answer now, try again: {why}")


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    # The environment may have proxies, passwords and certificates that are not for Nomad.
    session.trust_env = False
    session.headers.update({"User-Agent": "picloud", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=connections))
    return session


def _text(error: BaseNomadException) -> str:
    answer = error.nomad_resp
    if isinstance(answer, Exception):
        return reason(answer)
    text = answer.text if isinstance(answer, requests.Response) else str(answer)
    return " ".join(text.split())
