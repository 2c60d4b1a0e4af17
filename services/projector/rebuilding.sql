-- name: count_events
SELECT count(*) FROM projector.events WHERE $1::text IS NULL OR workspace = $1

-- name: walk
SET LOCAL enable_hashagg = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off

-- name: next_emails
SELECT DISTINCT email_id, workspace FROM projector.events
WHERE (email_id, workspace) > ($1::uuid, $2) AND ($3::text IS NULL OR workspace = $3)
ORDER BY email_id, workspace
LIMIT $4

-- name: read_rows
SELECT given.place, emails.status, emails.unified_status, emails.scheduled_at, emails.last_sequence, emails.state,
    emails.created_at, emails.account_id, emails.batch_id, emails.from_address, emails.subject,
    emails.recipients, emails.tags
FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS given (workspace, email_id, place)
JOIN projector.emails USING (workspace, email_id)
