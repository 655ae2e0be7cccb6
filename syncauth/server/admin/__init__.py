"""
What administrators may do: admin keys, deeds on users and sessions, lifetimes, and the trail of all that.

Nothing in here may know HTTP, and nothing outside of here may judge an admin key.
"""
