"""Start a worker: `python -m picloud_worker --url URL --proof-fd N --place PLACE`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import cloudpickle
from picloud_model import crashpoints
from picloud_model.errors import NotAllowed, PiCloudError, Unavailable
from picloud_model.pack import Envelope
from picloud_model.wire import SlotGranted, SlotRequest

from picloud_worker import settings
from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage
from picloud_worker.mount.bucket_mount import BucketMount
from picloud_worker.mount.idle_mount import IdleMount
from picloud_worker.supervisor.blob_cache import BlobCache
from picloud_worker.supervisor.bundle import Bundles
from picloud_worker.supervisor.supervisor import Clocks, Exit, GrantedSlot, Supervisor
from picloud_worker.system import process_lifetime, user
from picloud_worker.system.disk import write_log
from picloud_worker.system.packages import InstalledPackages
from picloud_worker.zygote.client import ZygoteClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_worker.settings import WorkerSettings

REGISTER_S: Final = 30.0
"""How long the server may be away while the worker registers."""
_PAUSE_S: Final = 0.2
_STDERR: Final = 2


class Stopped(BaseException):
    """The slot was ended while it registers."""


def main() -> Exit:
    """Run one slot until it ends."""
    forget_directory()
    packages = InstalledPackages()
    options = settings.read(sys.argv[1:], os.environ)
    crashpoints.arm(options.crashpoint)
    hold_standard_streams()
    home = options.workdir / "home"
    home.mkdir(parents=True, exist_ok=True)
    try:
        runs_as = user.User.of(options.place, user.all_users()) if options.drops else None
    except user.NoUsersError as error:
        write_log(f"{options.place}: {error}")
        return Exit.BROKEN
    # First, for all other processes of the slot see what is mounted.
    idle = None if options.drops else IdleMount.begin((os.getuid(), os.getgid()))
    zygote = ZygoteClient.start(home, runs_as, options.environment, options.shell_python)
    process_lifetime.hide_memory()
    on_end(stop)
    try:
        return work(options, zygote, packages, runs_as, idle)
    except Stopped:
        return Exit.DONE
    except NotAllowed as refusal:
        write_log(f"{options.place}: {refusal.message}")
        return Exit.DONE
    finally:
        zygote.close()


def work(
    options: WorkerSettings,
    zygote: ZygoteClient,
    packages: InstalledPackages,
    runs_as: user.User | None,
    idle: IdleMount | None,
) -> Exit:
    """Register the slot, and run its jobs.

    Raises:
        NotAllowed: When the server refuses the proof.
    """
    outage = Outage(REGISTER_S, time.monotonic)
    api = ApiClient(options.url)
    granted = register(api, read_proof(options.proof_fd), outage)
    if granted is None:
        return Exit.DONE
    api = api.with_token(granted.token)
    slot = GrantedSlot(
        granted=granted,
        api=api,
        outage=Outage(granted.server_grace_s, time.monotonic),
        blobs=BlobCache(options.workdir / "blobs", api, shares=runs_as is None),
        bundles=Bundles(options.workdir / "bundles", api),
        packages=packages,
        directory=options.workdir,
        envelope=Envelope.here(cloudpickle.__version__),
        mount=BucketMount(
            options.url,
            granted.token,
            options.workdir,
            owner=(zygote.uid, os.getgid() if runs_as is None else runs_as.gid),
            container=options.mount_fd,
            idle=idle,
        ),
    )
    supervisor = Supervisor(slot, zygote, Clocks(time.time, time.monotonic))
    on_end(lambda *_: supervisor.stop())
    try:
        return supervisor.run()
    finally:
        slot.mount.close()


def register(api: ApiClient, proof: str, outage: Outage) -> SlotGranted | None:
    """Exchange the proof for a token; return None when the server stays away."""
    while not outage.lost:
        try:
            return api.post("/v1/slots", SlotRequest(proof=proof), SlotGranted)
        except Unavailable:
            outage.failed()
            time.sleep(_PAUSE_S)
        except NotAllowed:
            raise
        except PiCloudError as error:
            raise NotAllowed(error.message) from error
    return None


def read_proof(descriptor: int) -> str:
    """Read the proof from a descriptor, and close it."""
    with os.fdopen(descriptor, encoding="ascii") as file:
        return file.read().strip()


def forget_directory() -> None:
    """Import nothing from the working directory, to which jobs may write."""
    if sys.path and sys.path[0] in ("", str(Path.cwd())):
        del sys.path[0]


def hold_standard_streams() -> None:
    """Keep descriptors 0 to 2 in use, so that no socket gets one of them."""
    descriptor = 0
    while descriptor <= _STDERR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def on_end(handler: Callable[..., None]) -> None:
    """Set what happens when the scheduler, or a user at a terminal, ends this slot."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def stop(*_: object) -> NoReturn:
    """Handle such a signal while there is nothing to hand back yet."""
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
