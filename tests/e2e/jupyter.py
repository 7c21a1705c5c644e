"""A client of JupyterLab, as a browser is one: it signs in by a URL, and runs cells in a kernel."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websocket

CELL_S = 60.0


class Jupyter:
    """JupyterLab at the URL of a notebook: with a token, or with the cookie of a pass.

    Args:
        url: The URL that opens it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.netloc, self.port = parts.netloc, parts.port
        self.token = parse_qs(parts.query).get("token", [""])[0]
        self.authorization = {"Authorization": f"token {self.token}"} if self.token else {}
        if not self.token:
            reply, _ = self._send("GET", f"{parts.path}?{parts.query}")
            assert reply.status == http.client.SEE_OTHER, reply.status
            assert reply.headers["Location"] == "/lab"
            cookie = reply.headers["Set-Cookie"].partition(";")[0]
            self.authorization = {"Cookie": cookie}

    def request(
        self, method: str, path: str, body: Any = None, *, signed_in: bool = True
    ) -> tuple[int, Any]:
        """Return the status of a reply, and its body from JSON."""
        reply, text = self._send(method, path, body, self.authorization if signed_in else {})
        is_json = "json" in reply.headers.get("Content-Type", "")
        return reply.status, json.loads(text) if is_json and text else text

    def _send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CELL_S)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Host": self.netloc, **(headers or {})})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply, text

    def kernel(self) -> Kernel:
        """Start a kernel, and connect to it."""
        status, started = self.request("POST", "/api/kernels", {"name": "python3"})
        assert status == http.client.CREATED, started
        address = f"ws://127.0.0.1:{self.port}/api/kernels/{started['id']}/channels"
        return Kernel(
            websocket.create_connection(
                address,
                timeout=CELL_S,
                host=self.netloc,
                origin=f"http://{self.netloc}",
                header=[f"{name}: {value}" for name, value in self.authorization.items()],
            )
        )


class Kernel:
    """A connection to a kernel, over a WebSocket; close it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def close(self) -> None:
        """Close the connection, also if the server has: then `close` leaves the socket open."""
        self.connection.shutdown()

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell, and return its outputs; an error in it is an AssertionError."""
        sent = uuid.uuid4().hex
        header = {"msg_id": sent, "msg_type": "execute_request", "version": "5.3"}
        header |= {"username": "", "session": sent, "date": ""}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.connection.send(json.dumps(message | {"channel": "shell", "buffers": []}))
        outputs = []
        while True:
            text = self.connection.recv()
            if not text:
                raise ConnectionResetError("the server has closed the WebSocket")
            received = json.loads(text)
            if received["parent_header"].get("msg_id") != sent:
                continue
            kind, content = received["header"]["msg_type"], received["content"]
            assert kind != "error", "\n".join(content["traceback"])
            if kind in ("stream", "execute_result", "display_data"):
                outputs.append(content)
            elif kind == "status" and content["execution_state"] == "idle":
                return outputs
