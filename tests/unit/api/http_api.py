"""The HTTP interface of a server without sockets: requests as clients and slots send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import falcon.asgi
import falcon.testing
from picloud_api import errors
from picloud_api.app import add_routes
from picloud_model import wire

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

Body = TypeVar("Body")


class HttpApi:
    """Sends requests to the routes of a server: as msgpack, and with its first key by default.

    With an empty credential none is sent.
    """

    def __init__(self, api: ApiHarness) -> None:
        self.api = api
        self.app: falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response] = falcon.asgi.App()
        errors.register(self.app)
        add_routes(self.app, api.use_cases)

    async def send(
        self, verb: str, path: str, data: bytes = b"", credential: str | None = None, **headers: str
    ) -> falcon.testing.Result:
        """Send bytes, with headers in addition to the credential."""
        credential = self.api.server.key if credential is None else credential
        authorization = {"Authorization": f"Bearer {credential}"} if credential else {}
        whole = {"Content-Type": wire.MSGPACK, **authorization, **headers}
        async with falcon.testing.ASGIConductor(self.app) as conductor:
            return await conductor.simulate_request(verb, path, body=data, headers=whole)

    async def post(
        self, path: str, body: Any, kind: type[Body], credential: str | None = None
    ) -> Body:
        """Post a body; return the answer, which must be no error."""
        result = await self.send("POST", path, wire.encode(body), credential)
        assert result.status_code == 200, result.content
        return wire.decode(result.content, kind)

    async def refusal(self, path: str, body: Any, credential: str | None = None) -> tuple[int, str]:
        """Post a body that is refused; return the status and the code of the error."""
        result = await self.send("POST", path, wire.encode(body), credential)
        return result.status_code, wire.decode(result.content, wire.Problem).code
