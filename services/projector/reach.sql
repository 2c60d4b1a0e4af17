-- name: set_progress
UPDATE projector.progress SET sequence = $1, projected_at = $2::timestamptz
-- Another replica may just have written it.
WHERE projected_at NOT BETWEEN $2::timestamptz - interval '1 second' AND $2::timestamptz + interval '1 second'
