"""A client of JupyterLab, as a browser is one: it signs in by a URL, and runs cells in a kernel."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import websocket

CELL_S = 60.0


class Jupyter:
    """JupyterLab at the URL of a notebook.

    Args:
        url: The URL that opens it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.port = parts.port
        self.token = parse_qs(parts.query)["token"][0]
        self.cookies = ""

    def request(
        self, method: str, path: str, body: Any = None, *, token: bool = True
    ) -> tuple[int, Any]:
        """Return the status of a reply, and its body from JSON."""
        headers = {"Authorization": f"token {self.token}"} if token else {"Cookie": self.cookies}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CELL_S)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        is_json = "json" in reply.headers.get("Content-Type", "")
        return reply.status, json.loads(text) if is_json and text else text

    def sign_in(self, password: str) -> int:
        """Sign in with a password, as its form does; return the status, and keep the cookies."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CELL_S)
        connection.request("GET", "/login")
        reply = connection.getresponse()
        reply.read()
        cookies = [each.partition(";")[0] for each in reply.headers.get_all("Set-Cookie") or ()]
        xsrf = dict(each.split("=", 1) for each in cookies)["_xsrf"]
        form = urlencode({"password": password, "_xsrf": xsrf})
        kind = "application/x-www-form-urlencoded"
        headers = {"Cookie": "; ".join(cookies), "Content-Type": kind}
        connection.request("POST", "/login", form, headers)
        reply = connection.getresponse()
        reply.read()
        cookies += [each.partition(";")[0] for each in reply.headers.get_all("Set-Cookie") or ()]
        self.cookies = "; ".join(cookies)
        connection.close()
        return reply.status

    def kernel(self) -> Kernel:
        """Start a kernel, and connect to it."""
        status, started = self.request("POST", "/api/kernels", {"name": "python3"})
        assert status == http.client.CREATED, started
        address = f"ws://127.0.0.1:{self.port}/api/kernels/{started['id']}/channels"
        return Kernel(
            websocket.create_connection(
                address, timeout=CELL_S, header=[f"Authorization: token {self.token}"]
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
