"""Wiring: the only module that names adapters; it builds the server from them."""

from __future__ import annotations

import asyncio
import secrets as entropy
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from picloud_driver.blob import BlobPort
from picloud_driver.bucket import BucketPort
from picloud_driver.gateway import GatewayPort
from picloud_driver.identity import IdentityPort, NoIssuer
from picloud_driver.image import ImagePort
from picloud_driver.queue import QueuePort
from picloud_driver.scheduler import SchedulerPort
from picloud_driver.secret import SecretPort
from picloud_driver.state import StatePort
from picloud_driver.trace import NoTraces, TracePort
from picloud_driver.webhook import WebhookPort
from picloud_driver.webhook.direct import DirectWebhooks
from picloud_driver.webhook.network_policy import NetworkPolicy
from picloud_jobspecs.render import Driver, SlotSite
from picloud_model.errors import PiCloudError
from picloud_model.pack import PYTHON

from picloud_api.background.loops import Background
from picloud_api.engine.jobs.live_query import LiveQueries
from picloud_api.engine.process.context import Context
from picloud_api.engine.scheduling.leasing import LeasePlanner
from picloud_api.store.archive import Archive
from picloud_api.store.commits import Commits
from picloud_api.store.view import View, check_format
from picloud_api.usecases.accounts.account import first_key
from picloud_api.usecases.accounts.signing_key import signing_key, signing_keys
from picloud_api.usecases.operation.health import HealthCheck
from picloud_api.usecases.use_cases import Foundation, UseCases

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_driver.gateway.process import SlotSide
    from picloud_driver.image.venv import VenvImages
    from picloud_driver.scheduler.local.scheduler import LocalScheduler
    from picloud_driver.stack.addresses import Addresses, Containers

    from picloud_api.settings import ServerSettings


_STATE = "state.sqlite"
_NO_TUNNELS = (
    "Jobs in containers cannot be reached here: set PICLOUD_SLOT_GATEWAY_PORTS for the server, to "
    "ports of its machine that containers can reach."
)
_OF_OTHERS = (
    "Environments cannot be built here, as slots run as another user than the server; install "
    "packages for the Python of the slots."
)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of a server, each with its adapter."""

    state: StatePort
    blobs: BlobPort
    buckets: BucketPort
    queues: QueuePort
    secrets: SecretPort
    scheduler: SchedulerPort
    images: ImagePort
    gateway: GatewayPort
    webhooks: WebhookPort
    traces: TracePort = NoTraces()
    identity: IdentityPort = NoIssuer()


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server's parts: a value for each room."""

    ports: Ports
    context: Context
    use_cases: UseCases
    live: LiveQueries
    background: Background
    key: str


async def check_free(settings: ServerSettings) -> None:
    """Refuse a data directory that is in use or unreadable, or HashiCorp servers that are not up.

    Raises:
        PiCloudError: Says what is wrong, and what to do.
    """
    if settings.servers:
        from picloud_driver.stack.hashicorp import check  # noqa: PLC0415 - see `hashicorp`

        check(settings.servers)
        return
    from picloud_driver.state.sqlite import SqliteState  # noqa: PLC0415 - see `embedded`

    state = SqliteState(settings.data / _STATE)
    try:
        await check_format(state)
    finally:
        await state.close()


def _gateway(settings: ServerSettings, slots: SlotSide | None = None) -> GatewayPort:
    """Return a gateway, whose public ports are where other published things are, too."""
    from picloud_driver.gateway.process import GatewayProcess  # noqa: PLC0415 - as below

    host, limits = settings.published_site.own_host, settings.stream_limits
    return GatewayProcess(settings.host, slots=slots, limits=limits, public_host=host)


async def embedded(settings: ServerSettings, url: str) -> Ports:
    """Open the adapters of the embedded stack, all of which use the data directory."""
    # Each stack loads its own adapters only: the other's would take memory and time.
    from picloud_driver.blob.directory import DirectoryBlobs  # noqa: PLC0415
    from picloud_driver.bucket.directory import DirectoryBuckets  # noqa: PLC0415
    from picloud_driver.queue.sqlite import SqliteQueues  # noqa: PLC0415
    from picloud_driver.secret.file import FileSecrets  # noqa: PLC0415
    from picloud_driver.state.sqlite import SqliteState  # noqa: PLC0415

    secrets = FileSecrets(settings.data / "secrets")
    proof_key = await signing_key(secrets, "proof")
    images = _venvs(settings)
    return Ports(
        state=SqliteState(settings.data / _STATE, synchronous=settings.synchronous),
        blobs=DirectoryBlobs(settings.data / "blobs"),
        buckets=DirectoryBuckets(settings.data / "buckets"),
        queues=SqliteQueues(settings.data / "queues.sqlite"),
        secrets=secrets,
        scheduler=_local(settings, url, proof_key, images),
        images=images,
        gateway=_gateway(settings),
        webhooks=_webhooks(settings),
        traces=_traces(settings),
    )


def _webhooks(settings: ServerSettings) -> WebhookPort:
    return DirectWebhooks(NetworkPolicy(settings.webhook_networks))


def _traces(settings: ServerSettings) -> TracePort:
    if not settings.traces_url:
        return NoTraces()
    from picloud_driver.trace.otlp import OtlpTraces  # noqa: PLC0415 - an extra package, if it is on

    return OtlpTraces(settings.traces_url, version("picloud"))


def _identity(settings: ServerSettings) -> IdentityPort:
    if settings.issuer is None:
        return NoIssuer()
    from picloud_driver.identity.oidc import OidcIssuer  # noqa: PLC0415 - see `embedded`

    return OidcIssuer(settings.issuer)


def _venvs(settings: ServerSettings) -> VenvImages:
    from picloud_driver.image.venv import VenvImages  # noqa: PLC0415 - see `embedded`

    return VenvImages(settings.data / "environments", settings.build_environment)


def _local(
    settings: ServerSettings, url: str, signing_key: bytes, images: VenvImages
) -> LocalScheduler:
    from picloud_driver.scheduler.local.scheduler import LocalScheduler  # noqa: PLC0415 - as above

    return LocalScheduler(
        settings.data,
        url,
        signing_key=signing_key,
        slots=settings.slots,
        environment=settings.slot_environment,
        interpreter=images.interpreter,
    )


def hashicorp(settings: ServerSettings, servers: Addresses, url: str) -> Ports:
    """Return the adapters of the hashicorp stack; none connects before its first call."""
    # The embedded stack works without the vendors' packages.
    from picloud_driver.blob.s3 import S3Blobs  # noqa: PLC0415
    from picloud_driver.bucket.s3 import S3Buckets  # noqa: PLC0415
    from picloud_driver.gateway.process import SlotSide  # noqa: PLC0415
    from picloud_driver.gateway.refused import NoGateway  # noqa: PLC0415
    from picloud_driver.queue.nats import NatsQueues  # noqa: PLC0415
    from picloud_driver.scheduler.nomad.scheduler import NomadScheduler  # noqa: PLC0415
    from picloud_driver.secret.vault import VaultSecrets  # noqa: PLC0415
    from picloud_driver.stack.servers import consul, nats, nomad, s3, vault  # noqa: PLC0415
    from picloud_driver.state.consul import ConsulState  # noqa: PLC0415

    gateway: GatewayPort
    if servers.slots:
        ports = servers.slots.ports()
        side = SlotSide(servers.slots.host, ports)
        gateway = _gateway(settings, side) if ports else NoGateway(_NO_TUNNELS)
        slots = _in_containers(settings, servers.slots, url)
    else:
        gateway = _gateway(settings)
        slots = _on_machines(settings, url)
    return Ports(
        state=ConsulState(consul.access(servers.consul)),
        blobs=S3Blobs(s3.access(servers.s3)),
        buckets=S3Buckets(s3.access(servers.s3)),
        queues=NatsQueues(nats.access(servers.nats)),
        secrets=VaultSecrets(vault.access(servers.vault)),
        scheduler=NomadScheduler(nomad.access(servers.nomad), slots.site, in_image=slots.in_image),
        images=slots.images,
        gateway=gateway,
        webhooks=_webhooks(settings),
        traces=_traces(settings),
        identity=_identity(settings),
    )


class _NomadSlots(NamedTuple):
    """The settings of slots of Nomad, without and with an image, and where images are."""

    site: SlotSite
    images: ImagePort
    in_image: Callable[[SlotSite, str], SlotSite] | None = None


def _in_containers(settings: ServerSettings, slots: Containers, url: str) -> _NomadSlots:
    from picloud_driver.image.containers.docker import DockerImages  # noqa: PLC0415 - see `embedded`
    from picloud_driver.image.containers.docker_build import ENVIRONMENT  # noqa: PLC0415 - as above
    from picloud_driver.image.containers.registry import Registry  # noqa: PLC0415 - as above

    named = {"push": slots.registry_push, "login": slots.registry_login}
    images = DockerImages(
        settings.data / "environments",
        settings.build_environment,
        host=slots.docker,
        base=slots.image,
        network=slots.network,
        gateway=slots.host,
        registry=Registry(address=slots.registry, **named) if slots.registry else None,
    )

    def in_image(site: SlotSite, image: str) -> SlotSite:
        worker = (*site.worker, "--environment", ENVIRONMENT)
        return msgspec.structs.replace(site, container=images.container(image), worker=worker)

    site = SlotSite(
        url=url_for(slots.host, url),
        driver=Driver.DOCKER,
        container=slots.image,
        network=slots.network,
    )
    return _NomadSlots(site, images, in_image)


def _on_machines(settings: ServerSettings, url: str) -> _NomadSlots:
    worker = (settings.nomad.python, "-P", "-m", "picloud_worker")
    site = SlotSite(url=settings.nomad.url or url, worker=worker, user=settings.nomad.user)
    if not settings.nomad.is_own_user:
        from picloud_driver.image.base_only import BaseOnlyImages  # noqa: PLC0415 - see `embedded`

        return _NomadSlots(site, BaseOnlyImages("machine", PYTHON, _OF_OTHERS))
    images = _venvs(settings)

    def in_image(site: SlotSite, image: str) -> SlotSite:
        shells = ("--shell-python", site.worker[0])
        worker = (images.interpreter(image), *site.worker[1:], *shells)
        return msgspec.structs.replace(site, worker=worker)

    return _NomadSlots(site, images, in_image)


def url_for(host: str, url: str) -> str:
    """Return the URL at which slots in containers reach the server: its port at another host.

    >>> url_for("172.18.0.1", "http://127.0.0.1:8787")
    'http://172.18.0.1:8787'
    """
    return f"http://{host}:{url.rpartition(':')[2]}"


async def open_ports(settings: ServerSettings, url: str) -> Ports:
    """Open the ports of the stack in the settings."""
    if settings.servers:
        return hashicorp(settings, settings.servers, url)
    return await embedded(settings, url)


def preload(settings: ServerSettings) -> None:
    """Import the adapters of vendors, so that the processes forked from now on share them.

    A process that replaces another one serves 0.2 s earlier then; while all processors are busy, a
    second and more.
    """
    if settings.servers:
        # Settings that cannot be used are refused by the check, which says why.
        with suppress(PiCloudError):
            hashicorp(settings, settings.servers, "http://127.0.0.1:1")


async def stop_slots(scheduler: SchedulerPort) -> None:
    """Stop every slot of a stack."""
    bursts = {presence.burst for presence in await scheduler.slots()}
    await asyncio.gather(*(scheduler.stop(burst) for burst in bursts))


async def end_slots(settings: ServerSettings, url: str) -> None:
    """Stop the slots that a killed server of the embedded stack has left."""
    scheduler = _local(settings, url, entropy.token_bytes(32), _venvs(settings))
    await stop_slots(scheduler)
    await scheduler.close()


def health_check(ports: Ports) -> HealthCheck:
    """Return the health check of a server over its ports."""
    # Buckets are where blobs are, most jobs need no images, a gateway starts when it is needed,
    # webhooks need nothing, and jobs run without traces and without an issuer of identities.
    unpinged = ("buckets", "images", "gateway", "webhooks", "traces", "identity")
    names = (name for name in ports.__struct_fields__ if name not in unpinged)
    pinged = {name: getattr(ports, name) for name in names}
    return HealthCheck(pinged, version("picloud"))


async def build(
    ports: Ports, settings: ServerSettings, clock: Callable[[], float] = time.time
) -> Server:
    """Build a server over its ports."""
    context = await _context(ports, clock)
    live = LiveQueries(context)
    use_cases = UseCases(
        Foundation(
            context=context,
            leasing=LeasePlanner(context),
            live=live,
            keys=await signing_keys(ports.secrets),
            blobs=ports.blobs,
            buckets=ports.buckets,
            queues=ports.queues,
            scheduler=ports.scheduler,
            images=ports.images,
            gateway=ports.gateway,
            webhooks=ports.webhooks,
            secrets=ports.secrets,
            identity=ports.identity,
            health=health_check(ports),
            idle_s=settings.idle_s,
            host=settings.host,
            quotas=settings.quotas,
            public_host=settings.public_host,
            content_site=settings.content_site,
            published_site=settings.published_site,
        )
    )
    await _read_prices(use_cases, settings)
    return Server(
        ports=ports,
        context=context,
        use_cases=use_cases,
        live=live,
        background=Background(
            context,
            use_cases.slots.slots,
            live,
            ports.scheduler,
            dependencies=use_cases.slots.work.dependencies,
            crons=use_cases.crons.crons,
            delete=use_cases.jobs.delete,
            sweep=use_cases.storage.sweep,
            image_sweep=use_cases.environments.sweep,
            buckets=ports.buckets,
            attachments=use_cases.queues.attachments,
            pushed=use_cases.queues.queues.pushed,
            warm=use_cases.rest.warm,
            realtime=use_cases.slots.realtime,
            statuses=use_cases.jobs.status,
            webhooks=ports.webhooks,
            accounts=use_cases.accounts,
            kill=use_cases.jobs.kill,
            keep_days=settings.keep_days,
            sweep_hours=settings.sweep_hours,
        ),
        key=await first_key(use_cases.accounts.accounts, ports.secrets),
    )


async def _read_prices(use_cases: UseCases, settings: ServerSettings) -> None:
    if settings.prices is not None:
        await use_cases.accounts.prices.change(settings.prices)
    await use_cases.accounts.budgets.reload()


async def _context(ports: Ports, clock: Callable[[], float]) -> Context:
    await check_format(ports.state)
    archive = Archive(ports.blobs, await signing_key(ports.secrets, "archive"))
    commits = Commits(View(ports.state, archive), entropy.token_hex(4))
    return Context(commits, archive, clock, traces=ports.traces)
