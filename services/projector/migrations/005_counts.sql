-- What happened to emails, counted by quarter hours: what statistics are summed up from.
--
-- A row for each tag and account: tag '' is all mail, account '' all accounts. The columns up to machine_clicked count
-- events; the others count emails, each at the first moment of what happened.

CREATE TABLE counts (
    at timestamptz NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    tag text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    delivered integer NOT NULL DEFAULT 0,
    delayed integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    hard_bounced integer NOT NULL DEFAULT 0,
    soft_bounced integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    read integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    auto_replied integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    unsubscribed integer NOT NULL DEFAULT 0,
    machine_opened integer NOT NULL DEFAULT 0,
    machine_clicked integer NOT NULL DEFAULT 0,
    emails_accepted integer NOT NULL DEFAULT 0,
    emails_sent integer NOT NULL DEFAULT 0,
    emails_failed integer NOT NULL DEFAULT 0,
    emails_suppressed integer NOT NULL DEFAULT 0,
    emails_delivered integer NOT NULL DEFAULT 0,
    emails_bounced integer NOT NULL DEFAULT 0,
    emails_opened integer NOT NULL DEFAULT 0,
    emails_clicked integer NOT NULL DEFAULT 0,
    emails_read integer NOT NULL DEFAULT 0,
    emails_replied integer NOT NULL DEFAULT 0,
    emails_complained integer NOT NULL DEFAULT 0,
    emails_unsubscribed integer NOT NULL DEFAULT 0,
    -- Rows lie as they came, those of one account and tag far apart: the index has all of them side by side.
    PRIMARY KEY (workspace, tag, account_id, at) INCLUDE (
        delivered, delayed, bounced, hard_bounced, soft_bounced, opened, clicked, read, replied, auto_replied,
        complained, unsubscribed, machine_opened, machine_clicked, emails_accepted, emails_sent, emails_failed,
        emails_suppressed, emails_delivered, emails_bounced, emails_opened, emails_clicked, emails_read,
        emails_replied, emails_complained, emails_unsubscribed
    )
) WITH (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.02
);

-- The feed: a workspace's events in the order of the log.
CREATE INDEX events_by_sequence ON events (workspace, sequence);

-- Exports: what came back, in the order of time. It knows nothing of the events that are far more.
CREATE INDEX signals_by_time ON events (workspace, occurred_at, event_id)
WHERE type IN (
    'sendlog.email.delivered.v1', 'sendlog.email.delayed.v1', 'sendlog.email.bounced.v1',
    'sendlog.email.opened.v1', 'sendlog.email.clicked.v1', 'sendlog.email.read.v1', 'sendlog.email.replied.v1',
    'sendlog.email.complained.v1', 'sendlog.email.unsubscribed.v1'
);

GRANT SELECT ON counts TO sendlog_gateway;
