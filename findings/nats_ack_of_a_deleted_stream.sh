#!/usr/bin/env bash
# nats-server 2.15.2: an acknowledgement that waits for the server's word waits in vain once its stream is deleted.
#
# A request to a subject that nobody serves is refused at once ("no responders"). For the subject of an acknowledgement it
# depends on when the stream goes: asked after the deletion, ack_sync is refused within milliseconds; so a client may
# take silence for a slow server and try again. But the acknowledgements that are under way while the stream is being
# deleted belong to neither: the consumer's subscription took them, and ends without a reply. Some of 2,000 that are sent
# around a deletion are confirmed, the later ones are refused, and those in between run into the client's time limit, whatever
# its length. What "did the server hear it?" means for those only the client's own record can tell.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0), five rounds of 2,000 acknowledgements around a deletion:
#     after the deletion: no responders
#     around it: confirmed some, refused some, unanswered some
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
from collections import Counter
from pathlib import Path

import nats
from nats.errors import NoRespondersError, TimeoutError
from nats.js.api import ConsumerConfig


async def acked(client, reply: str, limit: float) -> str:
    try:
        await client.request(reply, b"+ACK", timeout=limit)
    except NoRespondersError:
        return "refused"
    except TimeoutError:
        return "unanswered"
    return "confirmed"


async def main(folder: Path) -> None:
    while not (files := list(folder.glob("nats-server_*.ports"))) or not files[0].stat().st_size:
        await asyncio.sleep(0.05)
    (url,) = json.loads(files[0].read_text())["nats"]
    client = await nats.connect(url)
    stream = client.jetstream()
    total = Counter()
    for round in range(5):
        name = f"s{round}"
        await stream.add_stream(name=name, subjects=[f"{name}.>"])
        config = ConsumerConfig(ack_wait=60, max_ack_pending=5000)
        consumer = await stream.pull_subscribe(f"{name}.>", durable="c", config=config)
        for number in range(2001):
            await client.publish(f"{name}.x", b"x")
        held = []
        while len(held) < 2001:
            held += await consumer.fetch(2001 - len(held))
        acks = [asyncio.create_task(acked(client, each.reply, 5)) for each in held[:1000]]
        deleting = asyncio.create_task(stream.delete_stream(name))
        acks += [asyncio.create_task(acked(client, each.reply, 5)) for each in held[1000:2000]]
        await deleting
        total.update([await each for each in acks])
        if not round:
            late = await acked(client, held[2000].reply, 5)
            print("after the deletion:", "no responders" if late == "refused" else late)
    print(dict(total), file=sys.stderr)
    kinds = ("confirmed", "refused", "unanswered")
    print("around it:", ", ".join(f"{kind} {'some' if total[kind] else 'none'}" for kind in kinds))
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: acknowledgements around a deletion are answered otherwise"; exit 1; }
after the deletion: no responders
around it: confirmed some, refused some, unanswered some
SEEN
