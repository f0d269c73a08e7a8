"""Reviewers: score a dossier on every axis of the rubric, and decide nothing."""
