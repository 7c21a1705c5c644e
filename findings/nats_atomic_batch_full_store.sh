#!/usr/bin/env bash
# nats-server 2.15.2: an atomic batch that meets max_file_store is stored in part, and its commit is not answered.
#
# All or none of an atomic batch (Nats-Batch-Id, Nats-Batch-Sequence, Nats-Batch-Commit) is to be stored. If the limit of
# the server's file store (max_file_store, by default what is free on the disk) is reached while the batch is stored, its
# beginning stays, consumers get it, and the commit has no answer: only the next publish is told 10023, insufficient
# resources. If the first message has a Nats-Msg-Id, the same batch is refused as a repetition from then on (10201), also
# when there is room again, as if all of it were stored. With the id on the last message the batch can be repeated: the
# messages of its beginning are there twice then, and none is missing.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0):
#     id on the first message: no answer, then 10023; part of the batch is stored: True
#       with room again: 10201 atomic publish batch contains duplicate message id; all is stored: False
#     id on the last message: no answer, then 10023; part of the batch is stored: True
#       with room again: stored; all is stored: True
set -euo pipefail
work=$(mktemp -d); server=""
trap 'test -z "$server" || kill "$server"; chmod -R u+w "$work"; rm -rf "$work"' EXIT
GOBIN="$work" GOFLAGS=-modcacherw go install github.com/nats-io/nats-server/v2@v2.15.2 2>"$work/build.log"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nats-py==2.16.0
cat > "$work/config" <<'CONFIG'
jetstream: {max_file_store: 1000000}
CONFIG
"$work/nats-server" --config "$work/config" --addr 127.0.0.1 --port -1 --ports_file_dir "$work" --jetstream --store_dir "$work/js" >"$work/log" 2>&1 & server=$!
cat > "$work/program.py" <<'PY'
import asyncio
import json
import sys
from pathlib import Path

import nats

COUNT = 400


async def main(folder: Path) -> None:
    while not (files := list(folder.glob("nats-server_*.ports"))) or not files[0].stat().st_size:
        await asyncio.sleep(0.05)
    (url,) = json.loads(files[0].read_text())["nats"]
    client = await nats.connect(url)

    async def api(operation: str, body: object = None) -> dict:
        payload = b"" if body is None else json.dumps(body).encode()
        answer = json.loads((await client.request(f"$JS.API.{operation}", payload)).data)
        assert "error" not in answer, answer
        return answer

    async def batch(stream: str, name: str, id_at: int) -> str:
        for number in range(1, COUNT + 1):
            headers = {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)}
            if number == id_at:
                headers["Nats-Msg-Id"] = "id"
            if number < COUNT:
                await client.publish(stream, b"%d" % number * 300, headers=headers)
        headers["Nats-Batch-Commit"] = "1"
        try:
            answer = await client.request(stream, b"%d" % COUNT * 300, headers=headers, timeout=5)
        except nats.errors.TimeoutError:
            return "no answer"
        error = json.loads(answer.data).get("error")
        return f"{error['err_code']} {error['description']}" if error else "stored"

    for where, id_at in (("first", 1), ("last", COUNT)):
        for name in (f"full-{where}", where):
            stream = {"name": name, "subjects": [name], "storage": "file", "allow_atomic": True}
            await api(f"STREAM.CREATE.{name}", stream)
        for _ in range(700):
            await client.publish(f"full-{where}", b"x" * 1000)
        first = await batch(where, "one", id_at)
        second = (await batch(where, "two", id_at)).split()[0]
        count = (await api(f"STREAM.INFO.{where}"))["state"]["messages"]
        print(f"id on the {where} message: {first}, then {second}; part of the batch is stored: {0 < count < COUNT}")
        await api(f"STREAM.PURGE.full-{where}")
        third = await batch(where, "three", id_at)
        count = (await api(f"STREAM.INFO.{where}"))["state"]["messages"]
        print(f"  with room again: {third}; all is stored: {count >= COUNT}")
        for name in (f"full-{where}", where):
            await api(f"STREAM.DELETE.{name}")
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: a full store treats atomic batches otherwise"; exit 1; }
id on the first message: no answer, then 10023; part of the batch is stored: True
  with room again: 10201 atomic publish batch contains duplicate message id; all is stored: False
id on the last message: no answer, then 10023; part of the batch is stored: True
  with room again: stored; all is stored: True
SEEN
