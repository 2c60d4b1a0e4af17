-- The suppression lists, to be listed and searched; what is in force stands in the bucket and is never asked here.
--
-- One row for each key of the bucket. A removed entry leaves its row without a reason, so that what was written
-- before it and comes late is known to be older. `address` is the form addresses are compared in; an erased address
-- leaves neither `email` nor `address`, and goes on suppressing by its hash.

CREATE TABLE suppressions (
    created_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    reason text COLLATE "C",
    email text,
    address text COLLATE "C",
    detail text,
    PRIMARY KEY (workspace, hash)
);
CREATE INDEX suppressions_by_time ON suppressions (workspace, created_at DESC, hash DESC)
    WHERE reason IS NOT NULL;
CREATE INDEX suppressions_by_reason ON suppressions (workspace, reason, created_at DESC, hash DESC)
    WHERE reason IS NOT NULL;
CREATE INDEX suppressions_by_address ON suppressions (workspace, address)
    WHERE reason IS NOT NULL;

-- Up to which moment the rows above are complete. One row.
CREATE TABLE suppressions_progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    projected_at timestamptz NOT NULL
) WITH (fillfactor = 50);
INSERT INTO suppressions_progress (projected_at) VALUES ('epoch');

GRANT SELECT ON suppressions, suppressions_progress TO sendlog_gateway;
