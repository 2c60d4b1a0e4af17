-- name: emails
SELECT workspace, email_id, status, unified_status, created_at, scheduled_at, account_id, batch_id, from_address,
    subject, recipients, tags, state
FROM projector.emails ORDER BY email_id, workspace

-- name: events
SELECT workspace, email_id, event_id, type, occurred_at, causation, payload
FROM projector.events ORDER BY email_id, workspace, event_id

-- name: contents
SELECT workspace, email_id, body FROM projector.contents ORDER BY email_id, workspace

-- name: objects
SELECT workspace, email_id, key FROM projector.objects ORDER BY email_id, workspace, key

-- name: suppressions
SELECT workspace, encode(hash, 'hex') AS hash, reason, email, address, detail, created_at
FROM projector.suppressions WHERE reason IS NOT NULL ORDER BY workspace, hash

-- name: counts
-- What was added and taken away again leaves zeros.
SELECT workspace, tag, at, account_id,
    delivered, delayed, bounced, hard_bounced, soft_bounced, opened, clicked, read, replied, auto_replied,
    complained, unsubscribed, machine_opened, machine_clicked, emails_accepted, emails_sent, emails_failed,
    emails_suppressed, emails_delivered, emails_bounced, emails_opened, emails_clicked, emails_read,
    emails_replied, emails_complained, emails_unsubscribed
FROM projector.counts
WHERE 0 <> ANY (ARRAY[
    delivered, delayed, bounced, hard_bounced, soft_bounced, opened, clicked, read, replied, auto_replied,
    complained, unsubscribed, machine_opened, machine_clicked, emails_accepted, emails_sent, emails_failed,
    emails_suppressed, emails_delivered, emails_bounced, emails_opened, emails_clicked, emails_read,
    emails_replied, emails_complained, emails_unsubscribed
])
ORDER BY workspace, tag, at, account_id
