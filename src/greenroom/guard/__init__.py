"""The small process with the authority: warrants, pointers, budget, stop."""
