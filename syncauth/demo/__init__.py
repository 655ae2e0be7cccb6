"""
The demonstration: two devices, one server, one login that runs out in the middle of an import.

`python -m syncauth.demo` tells the story with real processes and real data; `story` says what
happens, `device` is a device, `verify` checks the three files afterwards without syncauth.
"""
