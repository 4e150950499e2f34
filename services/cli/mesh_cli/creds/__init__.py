"""`mesh creds`: who may do what in NATS."""
