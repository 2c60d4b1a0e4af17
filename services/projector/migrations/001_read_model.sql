-- The read model: one row per email, the archive of its events, its content, and how far all this reaches.
--
-- A row is its `state`, the folded events; the other columns exist to filter and sort by. A row may be there
-- before its `requested` event is: it has no created_at yet and is in no list.
--
-- Keys begin with the email's id: it alone decides nearly every comparison, and ids of today lie side by side
-- whatever workspace they are of. No query is without the workspace all the same.

CREATE TABLE emails (
    email_id uuid NOT NULL,
    created_at timestamptz,
    scheduled_at timestamptz,
    last_sequence bigint NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    unified_status text COLLATE "C" NOT NULL,
    account_id text,
    batch_id text,
    from_address text,
    recipients text[],
    tags text[],
    subject text,
    state bytea NOT NULL,
    PRIMARY KEY (email_id, workspace)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- What makes a row larger than 2 KB is moved out as it is: compressing it costs more than the rest of the write.
ALTER TABLE emails ALTER COLUMN state SET STORAGE EXTERNAL;

CREATE INDEX emails_by_time ON emails (workspace, created_at DESC, email_id DESC)
    WHERE created_at IS NOT NULL;
CREATE INDEX emails_by_account ON emails (workspace, account_id, created_at DESC, email_id DESC)
    WHERE created_at IS NOT NULL;
CREATE INDEX emails_by_batch ON emails (workspace, batch_id, created_at DESC, email_id DESC)
    WHERE batch_id IS NOT NULL AND created_at IS NOT NULL;
CREATE INDEX emails_by_schedule ON emails (workspace, scheduled_at, email_id)
    WHERE scheduled_at IS NOT NULL;
-- Nearly all mail ends as sent, and whoever asks for that finds it by time; the rest is what has to be found.
CREATE INDEX emails_by_status ON emails (workspace, status, created_at DESC, email_id DESC)
    WHERE created_at IS NOT NULL AND status <> 'sent';
CREATE INDEX emails_by_unified_status ON emails (workspace, unified_status, created_at DESC, email_id DESC)
    WHERE created_at IS NOT NULL AND unified_status <> 'sent';
CREATE INDEX emails_by_recipient ON emails USING gin (recipients);
-- Most mail has no tags: then the column is null, and this index knows nothing of it.
CREATE INDEX emails_by_tag ON emails USING gin (tags) WHERE tags IS NOT NULL;

-- Every event ever seen, without content: what `state` can be made of again.
CREATE TABLE events (
    email_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text NOT NULL,
    causation text,
    payload bytea NOT NULL,
    PRIMARY KEY (email_id, workspace, event_id)
);
ALTER TABLE events ALTER COLUMN payload SET STORAGE EXTERNAL;

-- What the email said, kept until some days after its last word.
CREATE TABLE contents (
    email_id uuid NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (email_id, workspace)
);
ALTER TABLE contents ALTER COLUMN body SET STORAGE EXTERNAL;

-- When the content of an email may go. Apart, because updating `contents` would write every body twice.
CREATE TABLE expiries (
    email_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    workspace text COLLATE "C" NOT NULL
);
CREATE INDEX expiries_by_time ON expiries (expires_at);

-- Up to which record, and up to which moment, everything above is complete. One row.
CREATE TABLE progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint NOT NULL,
    projected_at timestamptz NOT NULL
) WITH (fillfactor = 50);
INSERT INTO progress (sequence, projected_at) VALUES (0, 'epoch');

-- How many emails were first seen in each stretch of the log, and when: where the hot window begins.
CREATE TABLE stretches (
    stretch bigint PRIMARY KEY,
    emails integer NOT NULL,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);

GRANT USAGE ON SCHEMA projector TO sendlog_gateway;
GRANT SELECT ON emails, events, contents, progress TO sendlog_gateway;
