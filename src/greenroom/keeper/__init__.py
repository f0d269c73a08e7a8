"""The process that runs things: drafts, checks, imports, receipts."""
