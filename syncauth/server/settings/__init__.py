"""
`syncauth.toml`: what can be set, read and checked as a whole.

Nothing in here may start, open or import what the settings name.
"""
