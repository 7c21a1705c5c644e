"""What a slot may ask: register, work, heartbeat, leave."""
