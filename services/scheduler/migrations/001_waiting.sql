-- Whatever waits, is out for an attempt, or is done but may still be spoken of by records in the log.
CREATE TABLE waiting (
    workspace text NOT NULL,
    email_id uuid NOT NULL,
    account_id text NOT NULL,
    due_at timestamptz NOT NULL,
    bulk boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'released', 'done')),
    sequence bigint NOT NULL,
    proven boolean NOT NULL,
    round integer NOT NULL,
    attempts integer NOT NULL,
    revision integer NOT NULL,
    expires_at timestamptz,
    released_at timestamptz,
    reason text,
    payload bytea,
    PRIMARY KEY (workspace, email_id)
) WITH (
    -- Every row dies two or three times: vacuum early, or the front of each index fills with the dead.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_analyze_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 1
);

-- Bodies come compressed from 4 KB on: trying again only costs time.
ALTER TABLE waiting ALTER COLUMN payload SET STORAGE EXTERNAL;

COMMENT ON COLUMN waiting.sequence IS 'the last log sequence known of this email: the guard of what is said next';
COMMENT ON COLUMN waiting.proven IS 'whoever wrote that record had read all before it; if not, read before speaking';
COMMENT ON COLUMN waiting.payload IS 'MessagePack of what a release needs; only while it waits';

-- The turn: per account, single sends before bulk, then by due time.
CREATE INDEX waiting_turn ON waiting (workspace, account_id, bulk, due_at) WHERE state = 'waiting';
CREATE INDEX waiting_deadline ON waiting (expires_at) WHERE state = 'waiting' AND expires_at IS NOT NULL;
CREATE INDEX waiting_out ON waiting (workspace, account_id, released_at) WHERE state = 'released';
CREATE INDEX waiting_done ON waiting (sequence) WHERE state = 'done';

-- One row an account: whoever has it locked releases for that account. `next_at` is its pace.
CREATE TABLE lanes (
    workspace text NOT NULL,
    account_id text NOT NULL,
    next_at timestamptz,
    PRIMARY KEY (workspace, account_id)
);

-- Accounts that cannot go on before `until`, as a dispatcher said at `since`.
CREATE TABLE holds (
    workspace text NOT NULL,
    account_id text NOT NULL,
    until timestamptz NOT NULL,
    since timestamptz NOT NULL,
    code text NOT NULL,
    PRIMARY KEY (workspace, account_id)
);
