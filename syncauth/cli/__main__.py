"""`python -m syncauth.cli`: the same as the command `syncauth`, for where it is not on the path."""

from __future__ import annotations

from syncauth.cli import main

main()
