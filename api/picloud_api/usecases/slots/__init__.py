"""What slots request: register, work, heartbeat, leave."""

from picloud_api.engine.process.slot_sessions import SlotSession

__all__ = ["SlotSession"]
