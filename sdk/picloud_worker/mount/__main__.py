"""Mount the bucket of an account: `python -m picloud_worker.mount --socket DESCRIPTOR`.

The supervisor of a slot is at the other end of the socket, and sends what to mount. The process
ends with that supervisor, or when it is unmounted; a SIGTERM unmounts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import threading
from typing import Final

from picloud_model.wire import BucketMounted

from picloud_worker.api.client import ApiClient
from picloud_worker.mount.client import MountClient
from picloud_worker.mount.filesystem import BucketFileSystem, BufferFuse
from picloud_worker.mount.idle_mount import HandedMount
from picloud_worker.mount.request import REQUEST_BYTES, encoded, receive
from picloud_worker.system import namespace, process_lifetime, read_ahead

_SIGNALLED: Final = 8
"""What libfuse returns when a signal ended it, after it has unmounted."""
_MOST_MEMORY: Final = 1024**3
"""The address space of a process for a container, whose jobs choose what it has to remember."""


def main() -> None:
    """Mount until the process is terminated."""
    options = _options()
    if options.contained:
        _confine(options.network)
    if options.parent:
        process_lifetime.set_parent_death_signal(options.parent, signal.SIGTERM)
    process_lifetime.hide_memory()
    supervisor = socket.socket(fileno=options.socket)
    request, copies = receive(supervisor)
    at = request.at
    handed = None if options.device is None else HandedMount(options.device, options.first)
    if handed is not None:
        at = handed.at

    def mounted() -> None:
        if handed is not None:
            handed.serve()
        else:
            with read_ahead.devices() as devices:
                read_ahead.set_read_ahead(at, REQUEST_BYTES, devices)
        with contextlib.suppress(OSError):
            supervisor.send(encoded(BucketMounted(path=request.at, ready=True)))

    client = MountClient(ApiClient(request.url), request.token)
    system = BucketFileSystem(
        client,
        f"/proc/self/fd/{copies}",
        (request.uid, request.gid),
        mounted=mounted,
    )
    watch = threading.Thread(
        target=_watch, args=(supervisor,), kwargs={"unmounts": not options.contained}, daemon=True
    )
    watch.start()
    try:
        BufferFuse(
            system,
            at,
            foreground=True,
            nothreads=False,
            fsname="picloud",
            subtype="bucket",
            max_read=REQUEST_BYTES,
            nosuid=True,
            nodev=True,
            attr_timeout=0,
            entry_timeout=0,
            negative_timeout=0,
        )
    except RuntimeError as error:
        if error.args != (_SIGNALLED,):
            raise
    finally:
        with contextlib.suppress(OSError):
            supervisor.shutdown(socket.SHUT_RDWR)  # earlier than this process ends


def _confine(network: int | None) -> None:
    """Limit this process, which a container and its supervisor tell what to do.

    A supervisor that a user has changed chooses where the API listens: the firewall of its
    container has to apply to what is requested there.
    """
    import resource  # noqa: PLC0415 - some systems lack it

    if network is not None:
        namespace.join_network(network)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="picloud_worker.mount", description="Mount a bucket.")
    parser.add_argument("--socket", required=True, type=int, help="leads to the supervisor")
    parser.add_argument("--parent", type=int, help="end with this process")
    parser.add_argument("--contained", action="store_true", help="it is mounted in a container")
    parser.add_argument("--network", type=int, help="the network namespace of that container")
    parser.add_argument("--device", type=int, help="serve what this device has mounted already")
    parser.add_argument("--first", type=bytes.fromhex, help="the first request of that device")
    return parser.parse_args()


def _watch(supervisor: socket.socket, *, unmounts: bool) -> None:
    """End this process when the supervisor ends."""
    # The main thread has to receive the signal: libfuse waits in it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with contextlib.suppress(OSError):
        supervisor.recv(1)
    if unmounts:
        os.kill(os.getpid(), signal.SIGTERM)  # unmounts
    else:
        os._exit(0)  # the kernel ends the requests of programs, and the mount ends with them


if __name__ == "__main__":
    main()
