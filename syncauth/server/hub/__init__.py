"""
The sync hub: what the server decides about open sync sockets, pure, and what runs it.

Only `driver`, `calls` and `socket` touch the world; the rest takes inputs and returns effects.
"""
