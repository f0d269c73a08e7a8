"""The command `greenroom`."""
