"""What contract tests of several files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.blob_adapters import (  # noqa: F401 - fixtures
    blob_site,
    blobs,
    bucket_site,
    directory_site,
    s3_server,
)
from tests.contract.bucket_adapters import (  # noqa: F401 - fixtures
    bucket_directory_site,
    buckets,
    durable_site,
    moto_server,
    moto_site,
    object_site,
    versitygw_site,
)
from tests.contract.nomad_site import (  # noqa: F401 - fixtures
    nomad,
    nomad_gateway,
    nomad_server,
    nomad_site,
)
from tests.contract.queue_adapters import (  # noqa: F401 - fixtures
    cluster_queue_site,
    nats_cluster,
    nats_queue_site,
    nats_server,
    queue,
    queue_site,
    queues,
    sqlite_queue_site,
)
from tests.contract.scheduler_adapters import (  # noqa: F401 - fixtures
    local,
    local_site,
    scheduler,
    slot_site,
)
from tests.contract.secret_adapters import (  # noqa: F401 - fixtures
    file_site,
    mount_site,
    secret_site,
    secrets,
    vault_server,
)
from tests.contract.state_adapters import (  # noqa: F401 - fixtures
    consul_server,
    consul_site,
    other,
    sqlite_site,
    state,
    state_site,
)

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the contract of queues over each adapter, or with `--infra` over a cluster of NATS."""
    if "queue_site" in metafunc.fixturenames:
        kinds = ["cluster"] if metafunc.config.getoption("infra") else ["sqlite", "nats"]
        metafunc.parametrize("queue_site", kinds, indirect=True)
