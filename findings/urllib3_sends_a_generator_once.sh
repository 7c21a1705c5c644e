#!/usr/bin/env bash
# urllib3 2.8.0: an upload from a generator that has to be sent twice is empty the second time, and that is a success.
#
# A request is sent again by itself after a redirect that keeps the method (307, 308) and, for PUT and with the default of
# three retries, if the server closes the connection before it answers, as one does that is being restarted. A body of
# bytes or a list is sent again. A generator, any other iterator, and an object with read() but without tell() count as
# bodies that need no rewinding: they have been read to their end, and the second request is a well-formed one with no
# bytes. What is stored is empty, the status is 200, and nothing is raised. UnrewindableBodyError is for objects whose
# tell() fails. A file is rewound for a retry, but not for a redirect: the manager of pools, which follows it, starts a
# request anew with the file where it is, at its end. requests 2.34.2 rewinds files for both, and does with a generator
# as urllib3 does (at a retry if its adapter was given retries). For such bodies set `retries=False` and `redirect=False`,
# and make the body anew for each try.
#
# Seen (urllib3 2.8.0, requests 2.34.2), PUT of 10,000 bytes: what the first and the second request brought, and the end
#     bytes, dropped: 10000, then 10000: 200
#     bytes, redirected: 10000, then 10000: 200
#     list, dropped: 10000, then 10000: 200
#     list, redirected: 10000, then 10000: 200
#     file, dropped: 10000, then 10000: 200
#     file, redirected: 10000, then 0: 200
#     generator, dropped: 10000, then 0: 200
#     generator, redirected: 10000, then 0: 200
#     reader, dropped: 10000, then 0: 200
#     reader, redirected: 10000, then 0: 200
#     file by requests, dropped: 10000, then 10000: 200
#     file by requests, redirected: 10000, then 10000: 200
#     generator by requests, dropped: 10000, then 0: 200
#     generator by requests, redirected: 10000, then 0: 200
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check urllib3==2.8.0 requests==2.34.2
seen=$("$work/venv/bin/python" - <<'PY'
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
import urllib3

brought = []


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        size = 0
        if "Content-Length" in self.headers:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
        else:
            while chunk := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(chunk))
                self.rfile.readline()
            self.rfile.readline()
        brought.append(size)
        if len(brought) == 1 and self.path == "/dropped":
            self.close_connection = True
            return
        self.send_response(307 if len(brought) == 1 else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Reader:
    def __init__(self):
        self.read = file().read


def file():
    return io.BytesIO(b"x" * 10_000)


def parts():
    for _ in range(10):
        yield b"x" * 1000


def by_urllib3(url, body):
    return pool.request("PUT", url, body=body).status


def by_requests(url, body):
    return session.put(url, data=body).status_code


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
pool, session = urllib3.PoolManager(), requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
for name, make, send in (
    ("bytes", lambda: b"x" * 10_000, by_urllib3),
    ("list", lambda: list(parts()), by_urllib3),
    ("file", file, by_urllib3),
    ("generator", parts, by_urllib3),
    ("reader", Reader, by_urllib3),
    ("file by requests", file, by_requests),
    ("generator by requests", parts, by_requests),
):
    for path in ("dropped", "redirected"):
        brought.clear()
        try:
            end = send(f"http://127.0.0.1:{server.server_port}/{path}", make())
        except Exception as error:
            end = type(error).__name__
        print(f"{name}, {path}: {', then '.join(map(str, brought))}: {end}")
PY
)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: bodies are sent again otherwise"; exit 1; }
bytes, dropped: 10000, then 10000: 200
bytes, redirected: 10000, then 10000: 200
list, dropped: 10000, then 10000: 200
list, redirected: 10000, then 10000: 200
file, dropped: 10000, then 10000: 200
file, redirected: 10000, then 0: 200
generator, dropped: 10000, then 0: 200
generator, redirected: 10000, then 0: 200
reader, dropped: 10000, then 0: 200
reader, redirected: 10000, then 0: 200
file by requests, dropped: 10000, then 10000: 200
file by requests, redirected: 10000, then 10000: 200
generator by requests, dropped: 10000, then 0: 200
generator by requests, redirected: 10000, then 0: 200
SEEN
