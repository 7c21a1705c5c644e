"""Gateways: what carries streams between clients and jobs. The port, and one module per adapter."""

from picloud_driver.gateway.port import (
    Admission,
    BrowserRequest,
    GatewayPort,
    PublicHost,
    Reply,
    SlotTicket,
    StreamTickets,
)

__all__ = [
    "Admission",
    "BrowserRequest",
    "GatewayPort",
    "PublicHost",
    "Reply",
    "SlotTicket",
    "StreamTickets",
]
