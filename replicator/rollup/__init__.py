"""Rolling up: many small segments of one chain as a few large ones with the same records."""
