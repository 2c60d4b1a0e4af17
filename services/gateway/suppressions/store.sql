-- name: begin
-- A generic plan knows no values: which of the filters are there decides which index serves.
SELECT p.projected_at, set_config('plan_cache_mode', 'force_custom_plan', false), set_config('jit', 'off', false)
FROM projector.suppressions_progress p

-- name: page
SELECT s.email, s.reason, s.detail, s.created_at, s.hash FROM projector.suppressions s
WHERE {where} AND ($6::timestamptz IS NULL OR (s.created_at, s.hash) < ($6, $7::bytea))
ORDER BY s.created_at DESC, s.hash DESC LIMIT $8 OFFSET $9

-- name: count
SELECT count(*) FROM (SELECT 1 FROM projector.suppressions s WHERE {where} LIMIT $6) counted

-- name: estimate
EXPLAIN (FORMAT JSON) SELECT 1 FROM projector.suppressions s WHERE {where}

-- name: where
s.workspace = $1 AND s.reason IS NOT NULL AND ($2::text IS NULL OR s.reason = $2)
AND ($3::text IS NULL OR s.address = $3)
AND ($4::text IS NULL OR s.spellings ILIKE $4)
AND ($5::text IS NULL OR s.spellings ILIKE $5 OR s.detail ILIKE $5)

-- name: export
SELECT s.email, s.reason, s.detail, s.created_at FROM projector.suppressions s
WHERE s.workspace = $1 AND s.reason IS NOT NULL AND ($2::text IS NULL OR s.reason = $2)
ORDER BY s.created_at DESC, s.hash DESC
