-- name: projected_at
SELECT projected_at FROM projector.progress

-- name: counts
-- Tag '' is all mail, account '' all accounts.
SELECT
    width_bucket(at, $1::timestamptz[]) AS place,
    sum(delivered) AS delivered, sum(delayed) AS delayed, sum(bounced) AS bounced, sum(hard_bounced) AS
    hard_bounced, sum(soft_bounced) AS soft_bounced, sum(opened) AS opened, sum(clicked) AS clicked,
    sum(read) AS read, sum(replied) AS replied, sum(auto_replied) AS auto_replied, sum(complained) AS
    complained, sum(unsubscribed) AS unsubscribed, sum(machine_opened) AS machine_opened,
    sum(machine_clicked) AS machine_clicked, sum(emails_accepted) AS emails_accepted, sum(emails_sent) AS
    emails_sent, sum(emails_failed) AS emails_failed, sum(emails_suppressed) AS emails_suppressed,
    sum(emails_delivered) AS emails_delivered, sum(emails_bounced) AS emails_bounced, sum(emails_opened) AS
    emails_opened, sum(emails_clicked) AS emails_clicked, sum(emails_read) AS emails_read,
    sum(emails_replied) AS emails_replied, sum(emails_complained) AS emails_complained,
    sum(emails_unsubscribed) AS emails_unsubscribed
FROM projector.counts
WHERE workspace = $2 AND tag = $3 AND account_id = $4 AND at >= $5 AND at < $6
GROUP BY 1

-- name: signals
SELECT e.email_id, e.event_id, e.type, e.sequence, e.payload
FROM projector.events e
WHERE e.workspace = $1 AND e.type IN (
    'sendlog.email.delivered.v1', 'sendlog.email.delayed.v1', 'sendlog.email.bounced.v1',
    'sendlog.email.opened.v1', 'sendlog.email.clicked.v1', 'sendlog.email.read.v1', 'sendlog.email.replied.v1',
    'sendlog.email.complained.v1', 'sendlog.email.unsubscribed.v1'
) AND ($2::timestamptz IS NULL OR e.occurred_at >= $2) AND ($3::timestamptz IS NULL OR e.occurred_at < $3)
    AND ($4::text[] IS NULL OR e.type = ANY ($4))
    AND ($5::text IS NULL AND $6::text IS NULL OR EXISTS (
        SELECT FROM projector.emails m
        WHERE m.email_id = e.email_id AND m.workspace = e.workspace
            AND ($5::text IS NULL OR m.tags @> ARRAY[$5::text]) AND ($6::text IS NULL OR m.account_id = $6)
    ))
ORDER BY e.occurred_at, e.event_id

-- name: feed
-- Up to where every record is archived: one that commits late is never below a cursor. So many are looked at and no
-- more, for a rare type could be far away.
WITH looked_at AS MATERIALIZED (
    SELECT e.sequence, e.email_id, e.event_id, e.type FROM projector.events e
    WHERE e.workspace = $1 AND e.sequence > $2 AND e.sequence <= (SELECT p.sequence FROM projector.progress p)
    ORDER BY e.sequence LIMIT $4
),
chosen AS (
    SELECT l.email_id, l.event_id FROM looked_at l
    WHERE $3::text[] IS NULL OR l.type = ANY ($3) ORDER BY l.sequence LIMIT $5
)
SELECT
    p.sequence AS reached, p.projected_at, l.looked_at, l.last, e.sequence, e.email_id, e.event_id, e.type,
    e.occurred_at, e.causation, e.payload
FROM projector.progress p
CROSS JOIN (SELECT count(*) AS looked_at, max(sequence) AS last FROM looked_at) l
LEFT JOIN (
    SELECT v.* FROM chosen c
    JOIN projector.events v ON v.email_id = c.email_id AND v.workspace = $1 AND v.event_id = c.event_id
) e ON true
ORDER BY e.sequence
