"""The doors. Each calls the verbs of the pipeline; doors do not know each other."""
