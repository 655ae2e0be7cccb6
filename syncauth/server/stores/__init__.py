"""
Where the server keeps accounts and rows: interfaces, and their implementations on one SQLite file.

Nothing in here may decide what a client is told; that is the hub's and the account service's work.
"""
