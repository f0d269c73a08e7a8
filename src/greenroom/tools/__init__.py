"""Bodies of the tools. Nothing imports them; sandboxes start them."""
