"""`make bench`: how fast sync is, as ratios to plain SQLite doing the same work on the same file system."""
