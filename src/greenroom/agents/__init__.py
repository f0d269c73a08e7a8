"""What thinks, and never decides: proposers, planners, reviewers. Nothing on the trusted side imports this room."""
