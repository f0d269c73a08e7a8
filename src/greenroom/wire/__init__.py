"""Frames on local sockets, to and from domain types."""
