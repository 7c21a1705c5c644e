#!/usr/bin/env bash
# py-consul 1.8.0: rules of an ACL policy in HCL, the language of Consul's documentation, are encoded twice.
#
# acl.policy.create(rules=...) passes the rules through json.dumps before it encodes the body as JSON. A dict of rules
# arrives as Consul's JSON form of them. A string of HCL arrives with quotes around it and every line break as \n, which
# is no rule at all, though the parameter names no type and a policy file read as text is what one has at hand.
# So either rules are written as a dict, or the request is sent without this method.
#
# Seen (py-consul 1.8.0): what a server receives as "Rules", once the body is decoded
#     a dict: {"key_prefix": {"app/": {"policy": "write"}}}
#     a string: "key_prefix \"app/\" { policy = \"write\" }"
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check py-consul==1.8.0
cat > "$work/program.py" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import consul

received = []


class Server(BaseHTTPRequestHandler):
    def do_PUT(self):
        received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = consul.Consul(host="127.0.0.1", port=server.server_port)
client.acl.policy.create("p", rules={"key_prefix": {"app/": {"policy": "write"}}})
client.acl.policy.create("p", rules='key_prefix "app/" { policy = "write" }')
print("a dict:", received[0]["rules"])
print("a string:", received[1]["rules"])
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: rules are encoded otherwise"; exit 1; }
a dict: {"key_prefix": {"app/": {"policy": "write"}}}
a string: "key_prefix \"app/\" { policy = \"write\" }"
SEEN
