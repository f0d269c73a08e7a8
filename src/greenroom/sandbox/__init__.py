"""The walls: drivers of the sandbox port, and what they prove about themselves."""
