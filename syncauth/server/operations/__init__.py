"""
What the people who run a server see of it: logs, metrics, traces, readiness and an orderly end.

Nothing in here decides about accounts or rows, and nothing may ever show a token, a password or an email address.
"""
