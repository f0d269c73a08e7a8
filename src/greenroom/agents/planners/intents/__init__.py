"""What can be asked for in words: one module each, registered in `template.FRAMES`."""
