-- name: add
INSERT INTO projector.counts AS known (
    workspace, tag, at, account_id,
    delivered, delayed, bounced, hard_bounced, soft_bounced, opened, clicked, read, replied, auto_replied,
    complained, unsubscribed, machine_opened, machine_clicked, emails_accepted, emails_sent, emails_failed,
    emails_suppressed, emails_delivered, emails_bounced, emails_opened, emails_clicked, emails_read,
    emails_replied, emails_complained, emails_unsubscribed
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::timestamptz[], $4::text[],
    $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::integer[],
    $11::integer[], $12::integer[], $13::integer[], $14::integer[], $15::integer[], $16::integer[],
    $17::integer[], $18::integer[], $19::integer[], $20::integer[], $21::integer[], $22::integer[],
    $23::integer[], $24::integer[], $25::integer[], $26::integer[], $27::integer[], $28::integer[],
    $29::integer[], $30::integer[]
)
ON CONFLICT (workspace, tag, account_id, at) DO UPDATE SET
    delivered = known.delivered + excluded.delivered,
    delayed = known.delayed + excluded.delayed,
    bounced = known.bounced + excluded.bounced,
    hard_bounced = known.hard_bounced + excluded.hard_bounced,
    soft_bounced = known.soft_bounced + excluded.soft_bounced,
    opened = known.opened + excluded.opened,
    clicked = known.clicked + excluded.clicked,
    read = known.read + excluded.read,
    replied = known.replied + excluded.replied,
    auto_replied = known.auto_replied + excluded.auto_replied,
    complained = known.complained + excluded.complained,
    unsubscribed = known.unsubscribed + excluded.unsubscribed,
    machine_opened = known.machine_opened + excluded.machine_opened,
    machine_clicked = known.machine_clicked + excluded.machine_clicked,
    emails_accepted = known.emails_accepted + excluded.emails_accepted,
    emails_sent = known.emails_sent + excluded.emails_sent,
    emails_failed = known.emails_failed + excluded.emails_failed,
    emails_suppressed = known.emails_suppressed + excluded.emails_suppressed,
    emails_delivered = known.emails_delivered + excluded.emails_delivered,
    emails_bounced = known.emails_bounced + excluded.emails_bounced,
    emails_opened = known.emails_opened + excluded.emails_opened,
    emails_clicked = known.emails_clicked + excluded.emails_clicked,
    emails_read = known.emails_read + excluded.emails_read,
    emails_replied = known.emails_replied + excluded.emails_replied,
    emails_complained = known.emails_complained + excluded.emails_complained,
    emails_unsubscribed = known.emails_unsubscribed + excluded.emails_unsubscribed

-- name: lock
-- Two corrections at once would both be added.
SELECT pg_advisory_lock(hashtextextended('projector.counts', 0))

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('projector.counts', 0))

-- name: read
SELECT
    workspace, tag, at, account_id,
    delivered, delayed, bounced, hard_bounced, soft_bounced, opened, clicked, read, replied, auto_replied,
    complained, unsubscribed, machine_opened, machine_clicked, emails_accepted, emails_sent, emails_failed,
    emails_suppressed, emails_delivered, emails_bounced, emails_opened, emails_clicked, emails_read,
    emails_replied, emails_complained, emails_unsubscribed
FROM projector.counts WHERE $1::text IS NULL OR workspace = $1

-- name: states
SELECT workspace, state FROM projector.emails WHERE $1::text IS NULL OR workspace = $1

-- name: signals
-- An index cannot serve: all signals are read, which is what a recount is.
SELECT events.workspace, emails.state, events.type, events.payload
FROM projector.events JOIN projector.emails USING (email_id, workspace)
WHERE ($1::text IS NULL OR events.workspace = $1) AND events.type = ANY ($2::text[])
