"""
The account API over HTTP: routes that read a request, call a service and write its answer.

Nothing in here may decide anything.
"""
