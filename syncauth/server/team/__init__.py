"""
What the team that runs the server adds in Python: functions and hooks, and where their code runs.

Nothing in here may know who a token belongs to.
"""
