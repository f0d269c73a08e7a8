"""The ways out: fetching, and later egress and leases."""
