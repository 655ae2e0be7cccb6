"""
What a change to a row is: tables, capture triggers, exact values, stamps and lives.

Used by the replica and by the server's stores; knows neither. Nothing here keeps state or opens a
file, and nothing commits: every function works inside the transaction of its caller.

* `tables`     what a table is (introspection); `trackable` whether it can be synchronised
* `capture`    installs, verifies and removes the triggers; `capture_tables`, `capture_triggers` and
               `capture_replaced` hold their SQL
* `values`     SQLite rows to wire rows and back, bit for bit
* `stamps`     stamps, lives, and the merge of one row's columns
"""
