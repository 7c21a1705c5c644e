#!/usr/bin/env bash
# nats-server 2.15.2: a purge by sequence also takes away what a consumer has delivered and not acked, and nobody is told.
#
# Four of six messages are delivered, the third is acked. A purge of everything below sequence 3 moves the consumer's ack
# floor over the two deliveries still in flight and forgets them: they are neither redelivered nor counted. The client
# that holds one has no way to learn it: ack_sync, which waits for the server's word, succeeds for the removed message as
# for any other, and a nak of the other one brings nothing back. So a purge that is to free the disk from handled
# messages may only reach up to the oldest delivery still in flight, which only its sender can know.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0):
#     delivered 1-4: floor 0, in flight 4, waiting 2
#     acked 3: floor 0, in flight 3, waiting 2
#     purged below 3: floor 3, in flight 1, waiting 2
#     acked 1: confirmed
#     returned 2: next are [5, 6]
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

import nats
from nats.js.api import ConsumerConfig


async def main(folder: Path) -> None:
    while not (files := list(folder.glob("nats-server_*.ports"))) or not files[0].stat().st_size:
        await asyncio.sleep(0.05)
    (url,) = json.loads(files[0].read_text())["nats"]
    client = await nats.connect(url)
    stream = client.jetstream()

    async def show(what: str) -> None:
        now = await stream.consumer_info("s", "c")
        print(f"{what}: floor {now.ack_floor.stream_seq}, in flight {now.num_ack_pending}, waiting {now.num_pending}")

    await stream.add_stream(name="s", subjects=["s.>"])
    consumer = await stream.pull_subscribe("s.>", durable="c", config=ConsumerConfig(ack_wait=60))
    for number in range(6):
        await stream.publish(f"s.{number}", b"x")
    first, second, third, _ = await consumer.fetch(4)
    await show("delivered 1-4")
    await third.ack_sync()
    await show("acked 3")
    await client.request("$JS.API.STREAM.PURGE.s", json.dumps({"seq": 3}).encode())
    await show("purged below 3")
    await first.ack_sync(timeout=5)  # raises where the server does not confirm it
    print("acked 1: confirmed")
    await second.nak()
    await client.flush()
    print("returned 2: next are", [message.metadata.sequence.stream for message in await consumer.fetch(2)])
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: a purge treats deliveries in flight otherwise"; exit 1; }
delivered 1-4: floor 0, in flight 4, waiting 2
acked 3: floor 0, in flight 3, waiting 2
purged below 3: floor 3, in flight 1, waiting 2
acked 1: confirmed
returned 2: next are [5, 6]
SEEN
