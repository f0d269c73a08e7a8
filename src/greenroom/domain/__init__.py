"""Nouns and rules of the house, pure: no I/O, no clock, no import of any other room.

Read `change` first (what moves, and how), then `ports` (who carries it).
"""
