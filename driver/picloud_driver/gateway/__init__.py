"""Gateways: what carries streams between clients and jobs. The port, and one module per adapter."""

from picloud_driver.gateway.port import GatewayPort, StreamTickets

__all__ = ["GatewayPort", "StreamTickets"]
