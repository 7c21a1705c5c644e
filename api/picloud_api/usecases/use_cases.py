"""The use cases of one server, a value for each room; here a new noun is put together."""

from __future__ import annotations

import msgspec
from picloud_driver.blob import BlobPort
from picloud_driver.bucket import BucketPort
from picloud_driver.gateway import GatewayPort, PublicHost
from picloud_driver.identity import IdentityPort
from picloud_driver.image import ImagePort
from picloud_driver.queue import QueuePort
from picloud_driver.scheduler import SchedulerPort
from picloud_driver.secret import SecretPort
from picloud_driver.webhook import WebhookPort
from picloud_model.wire.notebook import LEAST_PASSWORD

from picloud_api.engine.jobs.live_query import LiveQueries
from picloud_api.engine.process.context import Context
from picloud_api.engine.scheduling.leasing import LeasePlanner
from picloud_api.engine.tracing.trace import JobTraces
from picloud_api.store.small_blobs import SmallBlobs
from picloud_api.usecases.accounts.account import Accounts
from picloud_api.usecases.accounts.budget import Budgets
from picloud_api.usecases.accounts.grants.grant import Grants
from picloud_api.usecases.accounts.grants.statement import AccountStatements
from picloud_api.usecases.accounts.job_token import JobTokens
from picloud_api.usecases.accounts.job_usage import JobUsages
from picloud_api.usecases.accounts.key import Keys
from picloud_api.usecases.accounts.people.identity import IssuedIdentities
from picloud_api.usecases.accounts.people.invite import Invites
from picloud_api.usecases.accounts.people.member import Members
from picloud_api.usecases.accounts.people.password import Passwords
from picloud_api.usecases.accounts.people.password_reset import PasswordResets
from picloud_api.usecases.accounts.people.person import People
from picloud_api.usecases.accounts.price import Prices
from picloud_api.usecases.accounts.quota import AccountQuota, Quotas
from picloud_api.usecases.accounts.secrets.minted_secret import MintedSecrets
from picloud_api.usecases.accounts.secrets.secret import Secrets
from picloud_api.usecases.accounts.secrets.secret_source import SecretSources
from picloud_api.usecases.accounts.signing_key import SigningKeys
from picloud_api.usecases.accounts.slot_token import SlotTokens
from picloud_api.usecases.accounts.web_session import WebSessions
from picloud_api.usecases.accounts.webhook_secret import WebhookSecrets
from picloud_api.usecases.crons.cron import Crons
from picloud_api.usecases.environments.environment import Environments
from picloud_api.usecases.environments.environment_choice import EnvironmentChoice
from picloud_api.usecases.environments.image_fetch import ImageFetch
from picloud_api.usecases.environments.image_sweep import ImageSweep
from picloud_api.usecases.environments.notebook import Notebooks
from picloud_api.usecases.environments.notebook_password import NotebookPasswords
from picloud_api.usecases.environments.setup_machine import SetupMachines
from picloud_api.usecases.jobs.admission import JobSite
from picloud_api.usecases.jobs.delete import DeleteJobs
from picloud_api.usecases.jobs.info import JobInformation
from picloud_api.usecases.jobs.kill import KillJobs
from picloud_api.usecases.jobs.listing import ListJobs
from picloud_api.usecases.jobs.plain_result import PlainResults
from picloud_api.usecases.jobs.status import JobStatuses
from picloud_api.usecases.jobs.submit import SubmitJobs
from picloud_api.usecases.jobs.tunnel import JobShells, JobTunnels, PublicPorts
from picloud_api.usecases.jobs.visits.content_site import ContentSite
from picloud_api.usecases.jobs.visits.machine_switch import MachineSwitch
from picloud_api.usecases.jobs.visits.published_site import PublishedSite
from picloud_api.usecases.jobs.visits.slot_page import SlotPages
from picloud_api.usecases.jobs.visits.visit import Visits
from picloud_api.usecases.jobs.wait import WaitForJobs
from picloud_api.usecases.jobs.why import Why
from picloud_api.usecases.operation.audit import AuditLog
from picloud_api.usecases.operation.health import HealthCheck
from picloud_api.usecases.operation.metrics import Metrics
from picloud_api.usecases.queues.attachment import Attachments
from picloud_api.usecases.queues.handled_messages import HandledMessages
from picloud_api.usecases.queues.listed_rates import ListedRates
from picloud_api.usecases.queues.queue import Queues
from picloud_api.usecases.rest.endpoint_key import EndpointKeys
from picloud_api.usecases.rest.rest import Endpoints
from picloud_api.usecases.rest.result_reader import ResultReader
from picloud_api.usecases.rest.warm_slots import WarmPools
from picloud_api.usecases.sharing.dictionary import Dicts
from picloud_api.usecases.sharing.lock import Locks
from picloud_api.usecases.sharing.stream import Streams
from picloud_api.usecases.slots.heartbeat import SlotHeartbeat
from picloud_api.usecases.slots.realtime import RealtimeCores
from picloud_api.usecases.slots.slot import Slots
from picloud_api.usecases.slots.work import SlotWork
from picloud_api.usecases.storage.blob import Blobs
from picloud_api.usecases.storage.blob_references import BlobReferences
from picloud_api.usecases.storage.blob_sweep import BlobSweep
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.bucket import Buckets
from picloud_api.usecases.storage.bucket_quota import BucketQuota
from picloud_api.usecases.storage.known_blobs import KnownBlobs
from picloud_api.usecases.storage.snapshot import Snapshots
from picloud_api.usecases.storage.usage import AccountUsages
from picloud_api.usecases.storage.volume import Volumes
from picloud_api.usecases.storage.volume_record import VolumeSizes


class Foundation(msgspec.Struct, frozen=True, kw_only=True):
    """What use cases are built from."""

    context: Context
    leasing: LeasePlanner
    live: LiveQueries
    keys: SigningKeys
    blobs: BlobPort
    buckets: BucketPort
    queues: QueuePort
    scheduler: SchedulerPort
    images: ImagePort
    gateway: GatewayPort
    webhooks: WebhookPort
    secrets: SecretPort
    identity: IdentityPort
    health: HealthCheck
    idle_s: float
    host: str
    """Where this server listens, and its own gateway."""
    quotas: Quotas
    public_host: PublicHost
    content_site: ContentSite
    published_site: PublishedSite


class AccountsRoom:
    """Accounts, their credentials, quotas and secrets, what their jobs cost and may cost."""

    def __init__(self, base: Foundation) -> None:
        commits, clock = base.context.commits, base.context.clock
        self.job_tokens = JobTokens(base.context, base.keys.job)
        self.slot_tokens = SlotTokens(base.keys.slot)
        self.accounts = Accounts(commits, base.keys.pepper, clock, self.job_tokens)
        self.keys = Keys(self.accounts, base.keys.pepper)
        # On the embedded stack the keys are in a file of the user, who has no need to see them.
        takes_keys = commits.view.state.shared
        self.sessions = WebSessions(self.accounts, base.keys.session, takes_keys=takes_keys)
        self.people = People(self.accounts, self.sessions, Passwords(base.keys.pepper))
        self.members = Members(self.accounts, self.people, self.sessions)
        self.invites = Invites(self.accounts, self.people, self.sessions)
        self.password_resets = PasswordResets(self.accounts, self.people)
        self.identities = IssuedIdentities(
            self.accounts, self.people, self.invites, base.identity, base.keys.session
        )
        self.minted_secrets = MintedSecrets(base.context, base.secrets, self.job_tokens)
        self.secrets = Secrets(base.context, base.secrets, self.minted_secrets)
        self.secret_sources = SecretSources(base.context, base.secrets)
        self.webhook_secrets = WebhookSecrets(base.context, base.keys.ticket)
        self.prices = Prices(base.context, base.scheduler)
        self.job_usage = JobUsages(base.context, self.prices)
        self.grants = Grants(base.context, self.prices)
        self.statements = AccountStatements(base.context, self.grants, self.job_usage)
        self.budgets = Budgets(base.context, self.prices)
        self.quota = AccountQuota(base.context, base.quotas, self.budgets)


class EnvironmentsRoom:
    """What jobs find besides their own modules, and machines to work in."""

    def __init__(self, base: Foundation) -> None:
        self.choice = EnvironmentChoice(base.context, base.images, ImageFetch(base.scheduler))
        self.environments = Environments(base.context, base.images, self.choice)
        self.sweep = ImageSweep(base.context, base.images)
        passwords = NotebookPasswords(Passwords(None, LEAST_PASSWORD))
        self.notebooks = Notebooks(base.context, base.keys.host, passwords)


class JobsRoom:
    """What clients may do with jobs."""

    def __init__(
        self,
        base: Foundation,
        accounts: AccountsRoom,
        storage: StorageRoom,
        environments: EnvironmentsRoom,
    ) -> None:
        context, quota = base.context, accounts.quota
        self.why = Why(context, base.scheduler, storage.blobs.refusal)
        site = JobSite(base.scheduler.shares_files, base.webhooks.check)
        self.submit = SubmitJobs(
            context,
            base.leasing,
            storage.known_blobs,
            quota,
            environments.choice,
            site=site,
        )
        self.status = JobStatuses(context)
        self.wait = WaitForJobs(context, quota)
        self.plain_result = PlainResults(self.wait, storage.blobs)
        self.kill = KillJobs(context)
        self.tunnel = JobTunnels(context, base.live, base.gateway)
        self.published_site = base.published_site
        self.slot_pages = SlotPages(context, base.scheduler)
        self.public_ports = PublicPorts(context, self.tunnel, base.gateway, base.public_host)
        self.info = JobInformation(
            context,
            base.blobs,
            base.live,
            prices=accounts.prices,
            why=self.why,
            public_ports=self.public_ports,
        )
        self.listing = ListJobs(context)
        self.shell = JobShells(context, self.tunnel, base.secrets, base.keys.host)
        self.delete = DeleteJobs(context)
        self.machines = MachineSwitch(
            context,
            environments.notebooks,
            submit=self.submit,
            kill=self.kill,
            tunnels=self.tunnel,
            host=base.host,
        )
        self.visits = Visits(
            accounts.accounts,
            environments.notebooks,
            tunnels=self.tunnel,
            gateway=base.gateway,
            site=base.content_site,
            key=base.keys.session,
        )


class SlotsRoom:
    """What slots may do."""

    def __init__(
        self, base: Foundation, accounts: AccountsRoom, environments: EnvironmentsRoom
    ) -> None:
        context = base.context
        self.realtime = RealtimeCores(
            context,
            base.scheduler,
            environments.choice.image_of,
            accounts.prices,
            accounts.quota,
        )
        self.slots = Slots(
            context,
            base.scheduler,
            tokens=accounts.slot_tokens,
            job_tokens=accounts.job_tokens,
            idle_s=base.idle_s,
        )
        self.work = SlotWork(context, base.leasing)
        self.heartbeat = SlotHeartbeat(context, base.live)


class StorageRoom:
    """Bytes that clients and slots keep on the server."""

    def __init__(self, base: Foundation, queues: Queues) -> None:
        use = BlobUse(base.context)
        self.known_blobs = KnownBlobs(base.blobs, use, base.context.clock)
        clock = base.context.clock
        self.blobs = Blobs(base.blobs, self.known_blobs, SmallBlobs(clock), clock)
        references = BlobReferences(base.context, base.blobs, queues.blobs.named)
        self.sweep = BlobSweep(base.context, base.blobs, references)
        quota = BucketQuota(base.buckets, base.quotas.object_bytes, VolumeSizes(base.context).of)
        self.buckets = Buckets(base.buckets, quota)
        self.volumes = Volumes(base.context, Snapshots(base.blobs, use), quota)
        self.usage = AccountUsages(base.context, base.blobs, base.buckets)


class QueuesRoom:
    """Queues, and the handlers that are attached to them."""

    def __init__(self, base: Foundation, queues: Queues, jobs: JobsRoom) -> None:
        self.queues = queues
        self.rates = ListedRates(queues)
        self.handled = HandledMessages(base.context, base.queues, queues)
        self.attachments = Attachments(base.context, queues, jobs.submit, jobs.status)


class SharingRoom:
    """What jobs and programs of an account have in common while they run."""

    def __init__(self, base: Foundation, accounts: AccountsRoom, storage: StorageRoom) -> None:
        self.locks = Locks(base.context, accounts.job_tokens, accounts.quota)
        self.dicts = Dicts(base.context, self.locks, accounts.quota)
        self.streams = Streams(base.context, storage.known_blobs, accounts.quota)


class CronsRoom:
    """Jobs that run on a schedule."""

    def __init__(self, base: Foundation, jobs: JobsRoom) -> None:
        self.crons = Crons(base.context, jobs.submit, jobs.status, jobs.kill)


class RestRoom:
    """Functions that are published with a URL."""

    def __init__(
        self,
        base: Foundation,
        jobs: JobsRoom,
        storage: StorageRoom,
        environments: EnvironmentsRoom,
    ) -> None:
        results = ResultReader(jobs.plain_result, storage.blobs)
        key = base.keys.ticket
        self.endpoints = Endpoints(base.context, jobs.submit, results, storage.blobs, key)
        self.keys = EndpointKeys(base.context, base.keys.pepper)
        self.warm = WarmPools(base.context, environments.choice.image_of)


class OperationRoom:
    """What those who run the server look at."""

    def __init__(self, base: Foundation, accounts: AccountsRoom) -> None:
        self.audit = AuditLog(base.context)
        self.metrics = Metrics(base.context, base.queues, accounts.prices)


class UseCases:
    """All use cases of a server; a resource takes those of its noun."""

    def __init__(self, base: Foundation) -> None:
        self.accounts = AccountsRoom(base)
        queues = Queues(base.context, base.queues, base.blobs, base.keys.ticket)
        self.storage = StorageRoom(base, queues)
        self.environments = EnvironmentsRoom(base)
        self.jobs = JobsRoom(base, self.accounts, self.storage, self.environments)
        self.setup_machines = SetupMachines(
            base.context,
            base.images,
            self.environments.environments,
            self.jobs.kill.kill,
            self.jobs.shell,
        )
        self.crons = CronsRoom(base, self.jobs)
        self.rest = RestRoom(base, self.jobs, self.storage, self.environments)
        self.queues = QueuesRoom(base, queues, self.jobs)
        self.slots = SlotsRoom(base, self.accounts, self.environments)
        self.sharing = SharingRoom(base, self.accounts, self.storage)
        self.operation = OperationRoom(base, self.accounts)
        self.health = base.health
        self.turns = base.context.turns
        self.traces = JobTraces(base.context)
