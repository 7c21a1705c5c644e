"""What slots request: register, work, heartbeat, leave."""
