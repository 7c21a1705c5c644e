"""What runs although no request asked for it: notifications, recovery, leadership, sealing."""
