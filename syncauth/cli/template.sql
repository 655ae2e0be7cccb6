-- The tables of the server. This runs at every start, so it says IF NOT EXISTS.
-- A table that devices synchronise has a primary key that begins with the partition column.
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL,
    id TEXT NOT NULL,
    text TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (_partition, id)
);
