"""May it happen? Pure rules: constitution, manifests, decisions, risk, consent, judge."""
