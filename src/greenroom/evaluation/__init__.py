"""Is it better, and nothing worse? Checks run through the keeper; the rules are in domain.outcomes."""
