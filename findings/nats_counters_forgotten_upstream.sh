#!/usr/bin/env bash
# nats-server 2.15.2: a counter whose stream forgets by age begins again at its next increment, and a stream that sums
# it up elsewhere, and itself forgets nothing, then subtracts what was forgotten.
#
# A counter is the last message of its subject. The server refuses counter streams what would remove that message behind
# their back one by one (TTLs of messages, discard "new", work queues), but accepts `max_age`, `max_msgs` and
# `max_bytes`, which remove it as well. An increment after that is acked with a value as if the counter were new. A
# stream that sources it keeps the last known value of each origin in `Nats-Counter-Sources` and adds the difference
# to its own: from 10 to 1 that is an increment of -9, so the sum of two origins falls from 15 to 6 although only
# additions were ever sent. Totals that are to last need an origin without limits, even where the sum has none.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0):
#     TTLs of messages: counter stream cannot use message TTLs
#     origin after +7 and +3: 10
#     sum of both origins: 15
#     origin after a rest and +1: 1
#     sum of both origins: 6, by an increment of -9
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

    async def create(**config: Any) -> Any:
        answer = await client.request(
            f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps({"allow_msg_counter": True, **config}).encode()
        )
        return json.loads(answer.data)

    async def add(subject: str, increment: int) -> Any:
        acked = await client.request(subject, headers={"Nats-Incr": f"{increment:+}"})
        return json.loads(acked.data)["val"]

    async def total(updates: int) -> tuple[str, str]:
        """The sum, once so many increments have come."""
        while (await stream.stream_info("sum")).state.last_seq < updates:
            await asyncio.sleep(0.05)
        last = await stream.get_last_msg("sum", "sum.hits")
        return json.loads(last.data)["val"], last.headers["Nats-Incr"]

    refused = await create(name="short", subjects=["short.>"], allow_msg_ttl=True)
    print("TTLs of messages:", refused["error"]["description"])
    await create(name="east", subjects=["east.>"], max_age=1_500_000_000)
    await create(name="west", subjects=["west.>"])
    origins = [{"name": each, "subject_transforms": [{"src": f"{each}.>", "dest": "sum.>"}]} for each in ("east", "west")]
    await create(name="sum", sources=origins)

    await add("east.hits", 7)
    await add("west.hits", 5)
    print("origin after +7 and +3:", await add("east.hits", 3))
    print("sum of both origins:", (await total(3))[0])
    while (await stream.stream_info("east")).state.messages:
        await asyncio.sleep(0.05)
    print("origin after a rest and +1:", await add("east.hits", 1))
    value, increment = await total(4)
    print(f"sum of both origins: {value}, by an increment of {increment}")
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: counters outlive the limits of their stream, or their sums do"; exit 1; }
TTLs of messages: counter stream cannot use message TTLs
origin after +7 and +3: 10
sum of both origins: 15
origin after a rest and +1: 1
sum of both origins: 6, by an increment of -9
SEEN
