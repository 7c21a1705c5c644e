"""Webhooks: what posts news of jobs to URLs of users. The port, and one module per adapter."""

from picloud_driver.webhook.port import NotDelivered, WebhookPort

__all__ = ["NotDelivered", "WebhookPort"]
