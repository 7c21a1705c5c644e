#!/usr/bin/env bash
# nats-server 2.15.2: a mirror of a stream that was deleted and made anew goes on where it was: first the old one's
# messages, then the new one's from the next number on, and a lag of 0. A source of the same stream begins again and
# misses nothing.
#
# Both are copies, and both find the stream of that name again some ten seconds after it is back. A stream that sources
# it starts at the first message. A mirror, whose sequence numbers are those of its origin, asks for the number after
# its last one. It never gets the first messages of the new stream, which has others of the old one under their numbers,
# and as long as the new stream is shorter than the old one was it gets nothing at all. Its report says what that of a
# healthy one says: no lag, no error. So a backup by a mirror, or reads that are spread over it (mirror_direct), are
# wrong from the day on which somebody made the stream again under its name, as a restore does, or a change that cannot
# be made in place. An origin that was created after its mirror gives it away: delete the mirror together with it.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0), three messages, then a new stream of two and later of five:
#     origin: new1 new2
#     source: old1 old2 old3 new1 new2, lag 0
#     mirror: old1 old2 old3, lag 0
#     origin: new1 new2 new3 new4 new5
#     source: old1 old2 old3 new1 new2 new3 new4 new5, lag 0
#     mirror: old1 old2 old3 new4 new5, lag 0
set -euo pipefail
work=$(mktemp -d); server=""
trap 'test -z "$server" || kill "$server"; chmod -R u+w "$work"; rm -rf "$work"' EXIT
GOBIN="$work" GOFLAGS=-modcacherw go install github.com/nats-io/nats-server/v2@v2.15.2 2>"$work/build.log"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0
"$work/nats-server" --addr 127.0.0.1 --port -1 --ports_file_dir "$work" --jetstream --store_dir "$work/js" >"$work/log" 2>&1 & server=$!
cat > "$work/program.py" <<'PY'
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import nats


async def main(folder: Path) -> None:
    while not (files := list(folder.glob("nats-server_*.ports"))) or not files[0].stat().st_size:
        await asyncio.sleep(0.05)
    (url,) = json.loads(files[0].read_text())["nats"]
    client = await nats.connect(url)
    stream = client.jetstream()

    async def reached(name: str, messages: int) -> Any:
        while (info := await stream.stream_info(name)).state.messages < messages:
            await asyncio.sleep(0.1)
        return info

    async def show(name: str) -> None:
        info = await stream.stream_info(name)
        found = [await stream.get_msg(name, number) for number in range(1, info.state.last_seq + 1)]
        report = info.mirror or (info.sources or [None])[0]
        print(f"{name}:", *(each.data.decode() for each in found), end=f", lag {report.lag}\n" if report else "\n")

    async def publish(word: str, numbers: range) -> None:
        for number in numbers:
            await stream.publish("orders.x", f"{word}{number}".encode())

    await stream.add_stream(name="origin", subjects=["orders.>"])
    await publish("old", range(1, 4))
    await stream.add_stream(name="source", sources=[nats.js.api.StreamSource(name="origin")])
    await stream.add_stream(name="mirror", mirror=nats.js.api.StreamSource(name="origin"))
    await reached("source", 3)
    await reached("mirror", 3)

    await stream.delete_stream("origin")
    await stream.add_stream(name="origin", subjects=["orders.>"])
    await publish("new", range(1, 3))
    await reached("source", 5)
    while (await stream.stream_info("mirror")).mirror.active > 1_500_000_000:  # nanoseconds since it heard of its origin
        await asyncio.sleep(0.1)
    for name in ("origin", "source", "mirror"):
        await show(name)
    await publish("new", range(3, 6))
    await reached("source", 8)
    await reached("mirror", 5)
    for name in ("origin", "source", "mirror"):
        await show(name)
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: a mirror treats an origin that was made anew otherwise"; exit 1; }
origin: new1 new2
source: old1 old2 old3 new1 new2, lag 0
mirror: old1 old2 old3, lag 0
origin: new1 new2 new3 new4 new5
source: old1 old2 old3 new1 new2 new3 new4 new5, lag 0
mirror: old1 old2 old3 new4 new5, lag 0
SEEN
