#!/usr/bin/env bash
# nats-server 2.15.2: one repeated message id refuses a whole atomic batch, and the error does not say which message.
#
# Outside a batch, a message whose Nats-Msg-Id was seen within the duplicate window is acknowledged with
# {"duplicate": true} and the stream keeps one copy: publishing again is harmless. In an atomic batch
# (Nats-Batch-Id, Nats-Batch-Sequence, Nats-Batch-Commit) the same id makes the server refuse all of the batch with an
# error; new messages in it are not stored. A producer that repeats a part of what it sent, as after an answer that was
# lost, must repeat exactly the batches that it sent before, or leave the messages out that are known to be stored.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0):
#     repeated alone: duplicate True messages 1
#     repeated in a batch: 10201 atomic publish batch contains duplicate message id
#     messages 1
#     without it: 2 messages 3
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


async def main(folder: Path) -> None:
    while not (files := list(folder.glob("nats-server_*.ports"))) or not files[0].stat().st_size:
        await asyncio.sleep(0.05)
    (url,) = json.loads(files[0].read_text())["nats"]
    client = await nats.connect(url)
    stream = {"name": "S", "subjects": ["s"], "storage": "file", "allow_atomic": True}
    answer = json.loads((await client.request("$JS.API.STREAM.CREATE.S", json.dumps(stream).encode())).data)
    assert "error" not in answer, answer

    async def batch(name: str, ids: list[str]) -> dict:
        for number, each in enumerate(ids, 1):
            headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number), "Nats-Msg-Id": each}
            if number == len(ids):
                headers["Nats-Batch-Commit"] = "1"
            answer = await client.request("s", each.encode(), headers=headers, timeout=5)
        return json.loads(answer.data) if answer.data else {}

    async def count() -> int:
        return json.loads((await client.request("$JS.API.STREAM.INFO.S", b"")).data)["state"]["messages"]

    for _ in range(2):
        single = json.loads((await client.request("s", b"a", headers={"Nats-Msg-Id": "a"})).data)
    print("repeated alone: duplicate", single.get("duplicate"), "messages", await count())
    refused = await batch("one", ["b", "a", "c"])
    print("repeated in a batch:", refused.get("error", {}).get("err_code"), refused.get("error", {}).get("description"))
    print("messages", await count())
    print("without it:", (await batch("two", ["b", "c"])).get("count"), "messages", await count())
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: batches treat repeated ids otherwise"; exit 1; }
repeated alone: duplicate True messages 1
repeated in a batch: 10201 atomic publish batch contains duplicate message id
messages 1
without it: 2 messages 3
SEEN
