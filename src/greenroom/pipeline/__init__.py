"""The path of one change: flow, stages, verbs, durable runs."""
