#!/usr/bin/env bash
# nats-server 2.15.2: a stream that takes scheduled messages cannot refuse new ones when it is full.
#
# A stream with allow_msg_schedules is created with any limit and with discard "old", where a full stream drops its
# oldest messages: among them schedules that have not fired, whose messages then never come, without a word. The policy
# that would refuse the producer instead, discard "new", is itself refused together with schedules (10052 below).
# So delayed messages that must not be lost belong into a stream without limits, and how much waits there has to be
# bounded by whoever publishes.
#
# Needs go, to build the server from its tagged module.
# Seen (nats-server 2.15.2, nats-py 2.16.0):
#     discard old: None None
#     discard new: 10052 message scheduling cannot use discard new
#     scheduled 3, kept 2 first 2
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
    for discard in ("old", "new"):
        stream = {
            "name": discard,
            "subjects": [f"{discard}.>"],
            "storage": "file",
            "allow_msg_schedules": True,
            "discard": discard,
            "max_msgs": 2,
        }
        sent = await client.request(f"$JS.API.STREAM.CREATE.{discard}", json.dumps(stream).encode())
        error = json.loads(sent.data).get("error", {})
        print(f"discard {discard}:", error.get("err_code"), error.get("description"))
    for number in range(3):
        headers = {"Nats-Schedule": "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target": "old.due"}
        answer = await client.request(f"old.later.{number}", b"x", headers=headers, timeout=5)
        assert "error" not in json.loads(answer.data), answer.data
    state = json.loads((await client.request("$JS.API.STREAM.INFO.old", b"")).data)["state"]
    print("scheduled 3, kept", state["messages"], "first", state["first_seq"])
    await client.close()


asyncio.run(main(Path(sys.argv[1])))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: schedules and full streams go together otherwise"; exit 1; }
discard old: None None
discard new: 10052 message scheduling cannot use discard new
scheduled 3, kept 2 first 2
SEEN
