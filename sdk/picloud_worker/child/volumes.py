"""The volumes of a job: mounted before its function is called, stored after it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from picloud_model.job import Cause
from picloud_model.wire.volume import volume_variable

from picloud_worker.failure import KillSignalError, RefusedError
from picloud_worker.system import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloud._resources.job_volume import JobVolumes


@contextlib.contextmanager
def mounted(names: Sequence[str], folder: str) -> Iterator[Mapping[str, str]]:
    """Have volumes mounted for a while; yield the environment variables that say where.

    What was changed is stored even if the job raises, but not if it is killed.

    Args:
        names: The volumes.
        folder: A directory for their files; the zygote removes it.

    Raises:
        RefusedError: When the files cannot be had, or what the job wrote cannot be stored.
    """
    # First, as it takes a process with one thread.
    is_private = namespace.enter()
    volumes, variables = _provide(names, folder, is_private=is_private)
    try:
        yield variables
    except KillSignalError:
        raise
    except BaseException as error:
        _store(volumes, error)
        raise
    _store(volumes, None)


def _provide(
    names: Sequence[str], folder: str, *, is_private: bool
) -> tuple[JobVolumes, dict[str, str]]:
    from cloud._config.configuration import Config  # noqa: PLC0415 - few jobs have volumes
    from cloud._config.settings import ClientSettings  # noqa: PLC0415
    from cloud._http.job_socket import SupervisorClient  # noqa: PLC0415
    from cloud._http.transport import ServerAddress, Transport  # noqa: PLC0415
    from cloud._resources.job_volume import JobVolumes  # noqa: PLC0415
    from cloud._resources.part_cache import PartCache  # noqa: PLC0415
    from cloud._resources.volume import VolumeClient  # noqa: PLC0415
    from cloud.errors import CloudException  # noqa: PLC0415

    try:
        supervisor = SupervisorClient(ClientSettings.read().job_socket or "")
        grant = supervisor.grant()
        transport = Transport(ServerAddress(grant.url, grant.token), Config())
        volumes = JobVolumes(folder, VolumeClient(transport))
        mount_paths = volumes.fetch(names, PartCache.here())
        paths = {name: volumes.directory(name) for name in mount_paths}
        if is_private:
            is_mounted = _bound(volumes, mount_paths)
        else:  # a container, in which the machine mounts them
            is_mounted = supervisor.mount_volumes(mount_paths)
        if is_mounted:
            paths = mount_paths
        for name, path in paths.items():
            volumes.begin(name, path)
    except (CloudException, OSError) as error:
        message = f"the volumes of the job cannot be provided: {error}"
        raise RefusedError(Cause.VOLUME, message) from None
    variables = {volume_variable(name): path for name, path in paths.items()}
    return volumes, {**variables, "PICLOUD_VOLUMES": folder}


def _bound(volumes: JobVolumes, mount_paths: Mapping[str, str]) -> bool:
    """Mount all volumes at their paths, or none; return whether they are."""
    directories = {path: volumes.directory(name) for name, path in mount_paths.items()}
    try:
        namespace.bind(directories, volumes.work)
    except OSError:
        return False
    return True


def _store(volumes: JobVolumes, failure: BaseException | None) -> None:
    """Store what the job changed; if that fails, the error of the job is its cause."""
    from cloud.errors import CloudException  # noqa: PLC0415

    for name in volumes.names():
        try:
            volumes.commit(name)
        except (CloudException, OSError) as error:
            message = f"what the job wrote to the volume {name!r} cannot be stored: {error}"
            raise RefusedError(Cause.VOLUME, message) from failure
