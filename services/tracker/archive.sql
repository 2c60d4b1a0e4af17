-- name: find_state
SELECT state FROM projector.emails WHERE workspace = $1 AND email_id = $2
