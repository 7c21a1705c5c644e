"""The route table: what each address takes, returns and is served by.

Each resource lists its routes next to its methods; here is a row for each. The application, the
OpenAPI document and the attack tests are made from this table.
"""

from __future__ import annotations

from typing import Final

from picloud_api.resources import (
    attachment,
    audit,
    blob,
    bucket,
    budget,
    cron,
    dictionary,
    endpoint_routes,
    environment,
    grant,
    health,
    info,
    job,
    key,
    lock,
    member,
    metrics,
    notebook,
    original,
    password_reset,
    price,
    queue,
    realtime,
    rest,
    secret,
    secret_source,
    setup_machine,
    sign_in,
    slot,
    stream,
    tunnel,
    usage,
    volume,
    webhook,
)

ROUTES: Final = (
    *health.ROUTES,
    *metrics.ROUTES,
    *job.ROUTES,
    *info.ROUTES,
    *blob.ROUTES,
    *bucket.ROUTES,
    *queue.ROUTES,
    *attachment.ROUTES,
    *dictionary.ROUTES,
    *lock.ROUTES,
    *stream.ROUTES,
    *volume.ROUTES,
    *environment.ROUTES,
    *setup_machine.ROUTES,
    *notebook.ROUTES,
    *cron.ROUTES,
    *rest.ROUTES,
    *key.ROUTES,
    *member.ROUTES,
    *password_reset.ROUTES,
    *audit.ROUTES,
    *secret.ROUTES,
    *secret_source.ROUTES,
    *webhook.ROUTES,
    *sign_in.ROUTES,
    *slot.ROUTES,
    *tunnel.ROUTES,
    *usage.ROUTES,
    *price.ROUTES,
    *realtime.ROUTES,
    *budget.ROUTES,
    *grant.ROUTES,
    *original.ROUTES,
    *endpoint_routes.ROUTES,
)
"""Every operation on a noun, in the order of the OpenAPI document."""
