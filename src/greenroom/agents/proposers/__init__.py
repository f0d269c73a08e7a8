"""Proposers: find something worth changing and return it as bytes. Each is a plug-in on the same port."""
