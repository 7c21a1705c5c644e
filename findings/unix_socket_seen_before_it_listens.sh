#!/usr/bin/env bash
# Linux: inotify tells of a UNIX socket before it accepts connections.
#
# bind() creates the file of the socket and listen() lets clients connect, and IN_CREATE comes after the first: a program that
# waits for the file by inotify and connects at once gets ECONNREFUSED, which looks like a server that died. A server that is
# waited for in this way binds and listens under another name and then renames the file: IN_MOVED_TO comes when it
# answers, and the connection works under the new name.
#
# Seen (Linux 6.18, CPython 3.11, inotify_simple 2.0.1):
#     bind: CREATE, connect: ECONNREFUSED
#     listen: no event, connect: connected
#     rename: MOVED_TO, connect: connected
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check inotify_simple==2.0.1
seen=$("$work/venv/bin/python" - "$work" <<'PY'
import errno
import os
import socket
import sys

from inotify_simple import INotify, flags

folder = os.path.join(sys.argv[1], "sockets")
os.mkdir(folder)
watch = INotify()
watch.add_watch(folder, flags.CREATE | flags.MOVED_TO)


def tell(what, path):
    events = [flags.from_mask(event.mask)[0].name for event in watch.read(timeout=0)]
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(path)
        said = "connected"
    except OSError as error:
        said = errno.errorcode[error.errno]
    print(f"{what}: {', '.join(events) or 'no event'}, connect: {said}")


server = socket.socket(socket.AF_UNIX)
server.bind(f"{folder}/new")
tell("bind", f"{folder}/new")
server.listen()
tell("listen", f"{folder}/new")
os.rename(f"{folder}/new", f"{folder}/ready")
events = "rename"
tell(events, f"{folder}/ready")
PY
)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: sockets are seen at another time"; exit 1; }
bind: CREATE, connect: ECONNREFUSED
listen: no event, connect: connected
rename: MOVED_TO, connect: connected
SEEN
