#!/usr/bin/env bash
# gunicorn 27.0.1, uvicorn 0.54.0, granian 2.8.9 under falcon 4.4.0: what becomes of a request whose client goes away.
#
# A client that closes its connection is news to a handler only if it asks for it ("http.disconnect"), and Falcon asks in its
# server-sent events alone. So under uvicorn and granian a resource that stores something finishes, and the generator in
# `response.stream` runs on as well: a log that is followed without end is followed for nobody, one more for each reader who
# leaves. gunicorn's ASGI worker cancels the task of both three seconds later (asgi_disconnect_grace_period): the stream
# ends as one wants, and the resource is cut off at any of its awaits. The same application changes from one fault to the
# other with its server, and gunicorn and uvicorn log nothing of it. Put what has to be finished into a task of its own and
# await that behind asyncio.shield, and let a stream look for the end of its request itself; then any of them will do.
#
# Seen (falcon 4.4.0, CPython 3.11), the client closes while each is at work:
#     gunicorn: POST cancelled, stream cancelled, sse ended, POST with shield finished
#     uvicorn: POST finished, stream finished, sse ended, POST with shield finished
#     granian: POST finished, stream finished, sse ended, POST with shield finished
set -euo pipefail
work=$(mktemp -d); servers=()
trap 'test ${#servers[@]} = 0 || kill "${servers[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    falcon==4.4.0 gunicorn==27.0.1 uvicorn==0.54.0 granian==2.8.9
cat > "$work/program.py" <<'PY'
import asyncio
import os
from pathlib import Path

import falcon.asgi
from falcon.asgi import SSEvent


async def steps(name):
    """Take some ten seconds, and note how that ends."""
    note = Path(os.environ["NOTES"], name)
    ended = "ended"
    try:
        for step in range(100):
            note.with_suffix(".begun").touch()
            await asyncio.sleep(0.1)
            yield step
        ended = "finished"
    except asyncio.CancelledError:
        ended = "cancelled"
        raise
    finally:
        note.with_suffix(".new").write_text(ended)
        note.with_suffix(".new").rename(note)


async def work(name):
    async for _ in steps(name):
        pass


class Resource:
    async def on_post(self, request, response, name):
        task = asyncio.create_task(work(name))
        await (asyncio.shield(task) if name == "shield" else task)

    async def on_get(self, request, response, name):
        if name == "sse":
            response.sse = (SSEvent(text=str(step)) async for step in steps(name))
        else:
            response.stream = (b"%d\n" % step async for step in steps(name))


app = falcon.asgi.App()
app.add_route("/{name}", Resource())
PY
cat > "$work/client.py" <<'PY'
import socket
import sys
import time
from pathlib import Path

server, port, notes = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
names = {"post": "POST", "stream": "GET", "sse": "GET", "shield": "POST"}
kept = []
for name, method in names.items():
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    connection.sendall(f"{method} /{name} HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n".encode())
    kept.append(connection)
while not all((notes / f"{name}.begun").exists() for name in names):
    time.sleep(0.1)
for connection in kept:
    connection.close()
while not all((notes / name).exists() for name in names):
    time.sleep(0.1)
post, stream, sse, shield = ((notes / name).read_text() for name in names)
print(f"{server}: POST {post}, stream {stream}, sse {sse}, POST with shield {shield}")
PY
start() {
    mkdir "$work/$1"
    (cd "$work" && NOTES="$work/$1" HOME="$work" exec "$work/venv/bin/$1" "${@:2}" program:app) > "$work/$1.log" 2>&1 &
    servers+=($!)
}
read -r a b c < <(python3 -c 'import socket
found = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(each.getsockname()[1] for each in found))')
start gunicorn --worker-class asgi --bind "127.0.0.1:$a"
start uvicorn --port "$b"
start granian --interface asgi --port "$c"
clients=()
for each in "gunicorn $a" "uvicorn $b" "granian $c"; do
    read -r name port <<< "$each"
    timeout 90 "$work/venv/bin/python" "$work/client.py" "$name" "$port" "$work/$name" > "$work/$name.seen" & clients+=($!)
done
for client in "${clients[@]}"; do wait "$client" || { tail -n 5 "$work"/*.log; exit 1; }; done
seen=$(cat "$work"/{gunicorn,uvicorn,granian}.seen)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: servers treat a request whose client has gone otherwise"; exit 1; }
gunicorn: POST cancelled, stream cancelled, sse ended, POST with shield finished
uvicorn: POST finished, stream finished, sse ended, POST with shield finished
granian: POST finished, stream finished, sse ended, POST with shield finished
SEEN
