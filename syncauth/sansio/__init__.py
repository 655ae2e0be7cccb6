"""
Decides: everything that syncauth decides, without touching the world.

Nothing in this package reads a clock, draws chance, opens a file or socket, starts a task or writes
a log. Time and chance come in with every input (`records.Moment`); what is to be done goes out as
values (`effects`).
"""
