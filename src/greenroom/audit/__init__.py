"""What happened? The log, its tiles and checkpoints, and what is signed."""
