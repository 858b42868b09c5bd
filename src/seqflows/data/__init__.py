"""From raw files to batches: download, prepare, load, batch."""
