"""Gateways: what carries streams between clients and jobs. The port, and one module per adapter."""

from picloud_driver.gateway.port import GatewayPort, PublicHost, SlotTicket, StreamTickets

__all__ = ["GatewayPort", "PublicHost", "SlotTicket", "StreamTickets"]
