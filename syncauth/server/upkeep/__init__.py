"""
The upkeep of a server's data directory: who has it open, backups, restores, an examination.

Nothing in this room serves requests, and the routes and the hub must never import it.
"""
