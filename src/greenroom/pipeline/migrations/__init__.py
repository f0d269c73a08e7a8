"""The revisions of the box database."""
