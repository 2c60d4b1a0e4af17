-- name: write
INSERT INTO projector.suppressions (workspace, hash, sequence, created_at, reason, email, address, detail)
SELECT * FROM unnest(
    $1::text[], $2::bytea[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[]
)
ON CONFLICT (workspace, hash) DO UPDATE SET
    sequence = excluded.sequence, created_at = excluded.created_at, reason = excluded.reason,
    email = excluded.email, address = excluded.address, detail = excluded.detail
WHERE suppressions.sequence < excluded.sequence

-- name: set_progress
UPDATE projector.suppressions_progress SET projected_at = $1::timestamptz
-- Another replica may just have written it.
WHERE projected_at NOT BETWEEN $1::timestamptz - interval '1 second' AND $1::timestamptz + interval '1 second'

-- name: begin_rebuild
CREATE TEMPORARY TABLE seen (workspace text NOT NULL, hash bytea NOT NULL) ON COMMIT DROP

-- name: rewrite
INSERT INTO projector.suppressions AS known (workspace, hash, sequence, created_at, reason, email, address, detail)
SELECT * FROM unnest(
    $1::text[], $2::bytea[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[]
)
ON CONFLICT (workspace, hash) DO UPDATE SET
    sequence = excluded.sequence, created_at = excluded.created_at, reason = excluded.reason,
    email = excluded.email, address = excluded.address, detail = excluded.detail
WHERE known.sequence <= excluded.sequence AND (
    known.sequence, known.created_at, known.reason, known.email, known.address, known.detail
) IS DISTINCT FROM (
    excluded.sequence, excluded.created_at, excluded.reason, excluded.email, excluded.address, excluded.detail
)

-- name: remove_unseen
DELETE FROM projector.suppressions known
WHERE ($1::text IS NULL OR known.workspace = $1) AND known.sequence <= $2
    AND NOT EXISTS (SELECT FROM seen WHERE seen.workspace = known.workspace AND seen.hash = known.hash)
