"""Who is live? Trees and their digests, the store, release drivers, undo, delivery."""
