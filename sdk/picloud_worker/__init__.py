"""The worker: what runs inside a slot. `python -m picloud_worker` is its only entrance."""
