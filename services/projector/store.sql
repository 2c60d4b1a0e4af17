-- name: plan
SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off

-- name: lock_rows
SELECT given.place, emails.last_sequence, emails.state
FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS given (workspace, email_id, place)
JOIN projector.emails USING (workspace, email_id)
ORDER BY given.place
FOR UPDATE OF emails

-- name: find_archived
SELECT given.place
FROM unnest($1::text[], $2::uuid[], $3::text[]) WITH ORDINALITY AS given (workspace, email_id, event_id, place)
JOIN projector.events USING (workspace, email_id, event_id)

-- name: make_rows
INSERT INTO projector.emails (workspace, email_id, status, unified_status, last_sequence, state)
SELECT workspace, email_id, 'queued', 'queued', 0, '\x80'
FROM unnest($1::text[], $2::uuid[]) AS given (workspace, email_id)
ON CONFLICT DO NOTHING

-- name: archive
INSERT INTO projector.events (workspace, email_id, event_id, sequence, type, occurred_at, causation, payload)
SELECT * FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[], $7::text[], $8::bytea[]
)
ON CONFLICT DO NOTHING
RETURNING sequence

-- name: advance_rows
UPDATE projector.emails SET
    status = given.status, unified_status = given.unified_status, scheduled_at = given.scheduled_at,
    last_sequence = given.last_sequence, state = given.state
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bytea[]
) AS given (workspace, email_id, status, unified_status, scheduled_at, last_sequence, state)
WHERE emails.workspace = given.workspace AND emails.email_id = given.email_id

-- name: replace_row
UPDATE projector.emails SET
    status = $3, unified_status = $4, scheduled_at = $5, last_sequence = $6, state = $7,
    created_at = $8, account_id = $9, batch_id = $10, from_address = $11, subject = $12,
    recipients = $13, tags = $14
WHERE workspace = $1 AND email_id = $2

-- name: insert_contents
INSERT INTO projector.contents (workspace, email_id, body)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bytea[])
ON CONFLICT DO NOTHING

-- name: insert_objects
INSERT INTO projector.objects (workspace, email_id, key)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])
ON CONFLICT DO NOTHING

-- name: count_emails
INSERT INTO projector.stretches (stretch, emails, seen_at)
SELECT stretch, emails, clock_timestamp() FROM unnest($1::bigint[], $2::integer[]) AS given (stretch, emails)
ON CONFLICT (stretch) DO UPDATE
SET emails = stretches.emails + excluded.emails, seen_at = greatest(stretches.seen_at, excluded.seen_at)
