-- name: take_due
-- What was accepted until then is projected: nobody refers to an object of these without its row being here.
DELETE FROM projector.expiries
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM projector.expiries
    WHERE expires_at < (SELECT least(now(), projected_at) - interval '5 minutes' FROM projector.progress)
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING workspace, email_id

-- name: delete_contents
DELETE FROM projector.contents
USING (SELECT DISTINCT workspace, email_id FROM unnest($1::text[], $2::uuid[]) AS given (workspace, email_id)) AS due
WHERE contents.workspace = due.workspace AND contents.email_id = due.email_id

-- name: delete_references
DELETE FROM projector.objects
USING (SELECT DISTINCT workspace, email_id FROM unnest($1::text[], $2::uuid[]) AS given (workspace, email_id)) AS due
WHERE objects.workspace = due.workspace AND objects.email_id = due.email_id
RETURNING objects.key

-- name: find_referred
SELECT DISTINCT key FROM projector.objects WHERE key = ANY ($1::text[])
