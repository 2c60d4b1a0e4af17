-- name: take_due
DELETE FROM projector.expiries
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM projector.expiries WHERE expires_at < now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING workspace, email_id

-- name: delete_contents
DELETE FROM projector.contents
USING (SELECT DISTINCT workspace, email_id FROM unnest($1::text[], $2::uuid[]) AS given (workspace, email_id)) AS due
WHERE contents.workspace = due.workspace AND contents.email_id = due.email_id
RETURNING contents.body
