#!/usr/bin/env bash
# websocket-client 1.9.2: after the server has ended the conversation, close() leaves the socket open.
#
# close() is documented as "Close Websocket object" and begins with `if not self.connected: return`. recv() answers a
# close frame of the server itself, and sets `connected` to False, so that the close() that follows, `with closing(...)`
# or in a `finally`, does nothing, called once or twice. The socket stays in CLOSE-WAIT until the object is collected: a
# client that keeps its connections in a list, or in a cycle, collects descriptors exactly in the case in which all went
# well, and none where it hung up itself. The code that the server gave is not in `close_frame` either, which only
# close() fills. shutdown() closes the socket in each state.
#
# Seen (websocket-client 1.9.2, websockets 17.4), 20 connections each that were closed by close():
#     ended by the client: 0 sockets open, with a close frame 20
#     ended by the server: 20 sockets open, with a close frame 0
#     ended by the server, then shutdown(): 0 sockets open
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check websocket-client==1.9.2 websockets==17.4
seen=$("$work/venv/bin/python" - <<'PY'
import threading

import websocket
from websockets.sync.server import serve


def talk(connection):
    connection.send("hello")
    if connection.request.path == "/server":
        connection.close()
    for _ in connection:
        pass


server = serve(talk, "127.0.0.1", 0)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.socket.getsockname()[1]
for side in ("client", "server"):
    kept = []
    for _ in range(20):
        connection = websocket.create_connection(f"ws://127.0.0.1:{port}/{side}")
        kept.append(connection)
        assert connection.recv() == "hello"
        if side == "server":
            assert connection.recv() == ""
        connection.close()
        connection.close()
    held = sum(each.sock is not None for each in kept)
    print(f"ended by the {side}: {held} sockets open, with a close frame {sum(each.close_frame is not None for each in kept)}")
for each in kept:
    each.shutdown()
print(f"ended by the server, then shutdown(): {sum(each.sock is not None for each in kept)} sockets open")
server.shutdown()
PY
)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: close() treats such a socket otherwise"; exit 1; }
ended by the client: 0 sockets open, with a close frame 20
ended by the server: 20 sockets open, with a close frame 0
ended by the server, then shutdown(): 0 sockets open
SEEN
