"""How Nomad is asked: python-nomad's requests over one pool of kept-alive connections."""

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
"""Longest time without a byte of an answer, beside what Nomad was asked to wait."""
_NEEDED: Final = (
    "submit-job, read-job, list-jobs, parse-job and read-fs in its namespace, and node:read"
)
_ALREADY_THERE: Final = "Enforcing job modify index 0"
_INVALID: Final = "validation failed"


@dataclasses.dataclass(frozen=True)
class NomadAccess:
    """Where Nomad answers, and as whom.

    Args:
        address: A URL; `https://` needs certificates or those that come with Python.
        token: Of an ACL; "" where Nomad has none. It is in no message and no `repr`.
        namespace: Where bursts are registered.
        ca_file: Who signed Nomad's certificate, in PEM.
        cert_file: Our own certificate, where Nomad asks for one.
        key_file: The key of our own certificate.

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
    """Nomad knows nothing of that name; is it Nomad that answers there?"""


class AlreadyThere(Exception):
    """There is a job of that name."""


class NomadClient:
    """Asks Nomad; every method raises what `explained` does.

    Args:
        access: Where it answers.
        connections: How many connections to keep open.
    """

    def __init__(self, access: NomadAccess, connections: int) -> None:
        self._address = access.address
        self._namespace = access.namespace
        self._session = _session(connections)
        # Not `nomad.Nomad`: it looks in the environment for whatever is left out.
        self._settings: dict[str, Any] = {
            "address": access.address.rstrip("/"),
            "token": access.token or None,
            "verify": access.ca_file or True,
            "cert": (access.cert_file, access.key_file) if access.cert_file else (),
            "session": self._session,
        }

    def endpoint(self, kind: type[api.Requester], **settings: Any) -> api.Requester:
        """A part of Nomad's interface, over the common connections."""
        return kind(**self._settings, **settings)

    def ask(self, endpoint: api.Requester, *path: str, answer: type[_T], **asked: Any) -> _T:
        """Ask, and answer in this type."""
        with self.explained():
            return msgspec.json.decode(self.send(endpoint, *path, **asked).content, type=answer)

    def look(
        self, endpoint: api.Requester, *path: str, answer: type[_T], **asked: Any
    ) -> tuple[_T, int]:
        """Ask, and answer in this type with the index at which that was so."""
        with self.explained():
            response = self.send(endpoint, *path, **asked)
            found = msgspec.json.decode(response.content, type=answer)
            return found, int(response.headers["X-Nomad-Index"])

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
        """Send one request; call it where errors are `explained`.

        Args:
            endpoint: What it is about.
            path: Below that.
            method: Of HTTP.
            params: Of the URL.
            json: The body.
            index: Wait until something has changed since; 0 asks for what is now.
            wait_s: Longest time to wait so.
            answer_s: Longest time without a byte, beside that.
            stream: Whether the answer is read as it comes.
        """
        query: dict[str, str | int] = {**(params or {}), "namespace": self._namespace}
        if index:
            query |= {"index": index, "wait": f"{max(1, round(wait_s * 1000))}ms"}
        answered: requests.Response = endpoint.request(
            *path,
            method=method,
            params=query,
            json=json,
            stream=stream,
            # Nomad adds up to a sixteenth to what it was asked to wait.
            timeout=(CONNECT_S, answer_s + wait_s * 17 / 16),
        )
        return answered

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what python-nomad and requests raise into one sentence each.

        Raises:
            NoSuchThing: When Nomad knows nothing of that name.
            AlreadyThere: When a job was to be new, and is not.
            NotAllowed: When Nomad refuses our token.
            ServerFault: When the request was wrong.
            Unavailable: When Nomad does not answer, or not as it should.
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
        except (TimeoutNomadException, requests.RequestException) as error:
            raise self._unavailable(reason(error)) from error
        except (msgspec.MsgspecError, LookupError, ValueError) as error:
            raise self._unavailable(f"its answer is none of Nomad 1.10's ({error})") from error

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"Nomad at {self._address} cannot answer now, try again: {why}")


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    # The environment may name proxies, passwords and certificates that are not meant for Nomad.
    session.trust_env = False
    session.headers.update({"User-Agent": "picloud", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=connections))
    return session


def _text(error: BaseNomadException) -> str:
    told = error.nomad_resp
    text = told.text if isinstance(told, requests.Response) else str(told)
    return " ".join(text.split())
