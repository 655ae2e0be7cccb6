"""
KEEPS: one user's SQLite file, its outbox, its batches in flight and its checkpoints.

* `replica`      `FileReplica`, the whole of it behind `interfaces.Replica`
* `schema`       our tables, how the file is opened, transactions, what SQLite reports about the disk
* `tracking`     which tables are tracked; `restoring` what went by while triggers were missing
* `outbox`       the cut of a batch; `inflight` batches that wait for their results
* `apply`        remote rows; `merge` rows written on both sides; `conflicts`, `waiting`, `orphans` rows that
                 cannot be placed or cannot stay
* `acknowledge`  results of batches; `dead_letters` what was refused
* `opened`       the file as a whole, with its lock and its waking; `files` which file is whose
* `connections`  the app's connections; `writer` the threads that write
* `table`, `page`, `entries`, `rowwrites`, `state`   the SQL and the plain objects that they share
"""
