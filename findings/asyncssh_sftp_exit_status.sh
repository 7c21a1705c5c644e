#!/usr/bin/env bash
# asyncssh 2.24.1: its SFTP server closes the channel without an exit status, and OpenSSH's scp fails after copying all.
#
# scp of OpenSSH 9 speaks SFTP. When it has copied everything it closes its end, waits for ssh and exits with ssh's
# status, which is 255 where the server has sent none: scp exits with 1 and prints nothing. sshd sends a status for its
# sftp-server. `SFTPServer.exit` can be overridden to call `self.channel.exit(0)`.
#
# Seen (asyncssh 2.24.1, OpenSSH 9.2): the file arrives whole; exit 1 by default, exit 0 with the override.
# Needs ssh, scp and ssh-keygen.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check asyncssh==2.24.1
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cat > "$work/program.py" <<'PY'
import asyncio, pathlib, sys

import asyncssh

work = pathlib.Path(sys.argv[1])

class WithStatus(asyncssh.SFTPServer):
    def exit(self):
        self.channel.exit(0)

async def copied(server_class):
    """The exit status of scp to such a server, and whether the file arrived."""
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[str(work / "key")],
        authorized_client_keys=str(work / "key.pub"), sftp_factory=server_class,
    )
    target = work / server_class.__name__
    scp = await asyncio.create_subprocess_exec(
        "scp", "-q", "-F", "none", "-i", str(work / "key"), "-P", str(listener.get_port()),
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        str(work / "key.pub"), f"user@127.0.0.1:{target}",
    )
    status = await scp.wait()
    listener.close()
    return status, target.read_bytes() == (work / "key.pub").read_bytes()

print("default:", *asyncio.run(copied(asyncssh.SFTPServer)))
print("override:", *asyncio.run(copied(WithStatus)))
PY
seen=$("$work/venv/bin/python" "$work/program.py" "$work")
echo "$seen"
grep -qx 'override: 0 True' <<<"$seen"
! grep -qx 'default: 0 True' <<<"$seen" || { echo "changed: the server sends a status now"; exit 1; }
grep -qx 'default: 1 True' <<<"$seen"
