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
