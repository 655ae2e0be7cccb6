"""
Who somebody is: accounts and their logins, the sessions that these open, the tokens that sessions give.

Nothing in here may know HTTP beyond the status of a denial, nor who calls.
"""
