"""The wire: every body that travels between SDK, worker and API, a module for each noun.

Bodies are msgpack (`application/msgpack`) or, for people and other languages, JSON
(`application/json`, bytes as base64); the same structs describe both. Requests refuse unknown
fields and omit those that have their default; unknown fields of answers are ignored. What is sent
per job is an array, the rest are maps whose keys are the field names here. Times are seconds: `_s`
a duration, `_at` since the epoch.
"""

from picloud_model.job import DEFAULT_ARGUMENT_BYTES, MAX_ARGUMENT_BYTES, MAX_JOBS
from picloud_model.wire.blob import (
    MOST_BUNDLES,
    ORIGINS_FILE,
    TRAILER_BYTES,
    BlobsMissing,
    BlobsRead,
    BlobsStored,
    Content,
    Manifest,
    MissingBlobsRequest,
    Module,
    PricedJobs,
    ReadBlobsRequest,
    StoreBlobsRequest,
    Upload,
    bundles_of,
    with_bundles,
)
from picloud_model.wire.body import (
    UNKNOWN_FIELD,
    Answer,
    DependencyErrors,
    Digest,
    Jid,
    JidRange,
    KeyId,
    Problem,
    Request,
    SubmitId,
    Timeout,
    unknown_field,
)
from picloud_model.wire.codec import JSON, MSGPACK, decode, encode, join_lists
from picloud_model.wire.health import Health, PortHealth
from picloud_model.wire.info import (
    Arguments,
    BatchesListed,
    BatchesRequest,
    Info,
    InfoRequest,
    JobInfo,
    JobInfos,
    JobsListed,
    ListedBatch,
    ListedJob,
    ListRequest,
    ProfiledCall,
    Sample,
    Stream,
    pack_info,
    unpack_info,
)
from picloud_model.wire.job import (
    Deleted,
    DeleteRequest,
    Failure,
    JobsRequest,
    Killed,
    Options,
    Outcome,
    Outcomes,
    PackPart,
    Reuse,
    StageRequest,
    Statuses,
    StatusRun,
    SubmitRequest,
    Submitted,
    WaitRequest,
)
from picloud_model.wire.job_socket import (
    BucketMounted,
    JobGrant,
    JobSocketRequest,
    VolumesMounted,
)
from picloud_model.wire.key import (
    AccountRequest,
    AccountsListed,
    AccountsRequest,
    KeyIdRequest,
    KeyMade,
    KeyRequest,
    KeysListed,
    KeysRequest,
    ListedAccount,
    ListedKey,
)
from picloud_model.wire.limits import (
    LARGEST_PORT,
    LONGEST_POLL_S,
    MAX_ACCOUNT_NAME,
    MAX_BLOBS,
    MAX_BLOCKED_JOBS,
    MAX_DEPENDENCIES,
    MAX_INFO_BYTES,
    MAX_ITEMS,
    MAX_LABEL,
    MAX_PATH,
    MAX_PORTS,
    MAX_PRIORITY,
    MAX_RESULT_BYTES,
    MAX_REUSE_S,
    MAX_RUNTIME_S,
    MAX_SEED,
    MAX_VARIABLES_BYTES,
    MAX_VOLUMES,
    NAMES_BYTES,
    READ_BYTES,
    REQUEST_BYTES,
    STRANGER_BYTES,
)
from picloud_model.wire.original import (
    OriginalAnswer,
    OriginalInfoQuery,
    OriginalInfos,
    OriginalResult,
    OriginalResultQuery,
)
from picloud_model.wire.slot import (
    AttemptRef,
    BlockedOn,
    HeartbeatAnswer,
    HeartbeatRequest,
    JobReport,
    Lease,
    LeasedJob,
    LiveAnswer,
    LiveQuery,
    Report,
    RestartSlotsRequest,
    SlotGranted,
    SlotRequest,
    SlotsRestarted,
    SshOrder,
    TunnelOrder,
    WorkAnswer,
    WorkRequest,
)
from picloud_model.wire.usage import AccountUsage, StoredBytes, UsageRequest
