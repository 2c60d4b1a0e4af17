-- name: find
-- The row and what of it is archived, in one statement: two would see two moments.
SELECT
    e.state,
    ARRAY(
        SELECT v.event_id FROM projector.events v WHERE v.workspace = $1 AND v.email_id = $2
    ) AS archived
FROM projector.emails e
WHERE e.workspace = $1 AND e.email_id = $2

-- name: find_with_events
SELECT
    e.state,
    v.event_id,
    v.sequence,
    v.type,
    v.payload
FROM projector.emails e
LEFT JOIN projector.events v ON v.workspace = e.workspace AND v.email_id = e.email_id
WHERE e.workspace = $1 AND e.email_id = $2

-- name: find_state
SELECT e.state FROM projector.emails e WHERE e.workspace = $1 AND e.email_id = $2

-- name: find_content
SELECT c.body FROM projector.contents c WHERE c.workspace = $1 AND c.email_id = $2

-- name: has_expired
-- What is not projected yet has no content either.
SELECT EXISTS (
    SELECT FROM projector.emails e WHERE e.workspace = $1 AND e.email_id = $2 AND e.created_at IS NOT NULL
) AND NOT EXISTS (SELECT FROM projector.contents c WHERE c.workspace = $1 AND c.email_id = $2)

-- name: is_due
-- Few rows are older than now: those that are about to be swept.
SELECT EXISTS (
    SELECT FROM projector.expiries x WHERE x.expires_at < now() AND x.workspace = $1 AND x.email_id = $2
)

-- name: page
-- One row at least, for one statement sees one moment: the page is what was projected up to then, and no more.
SELECT p.projected_at, e.email_id, e.created_at, e.state
FROM projector.progress p
LEFT JOIN (
    SELECT e.email_id, e.created_at, e.state
    FROM projector.emails e WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}
) e ON true
ORDER BY {order}

-- name: count
SELECT count(*) FROM (SELECT 1 FROM projector.emails e WHERE {where} LIMIT {limit}) counted

-- name: estimate
EXPLAIN (FORMAT JSON) SELECT 1 FROM projector.emails e WHERE {where}

-- name: newest_first
e.created_at DESC, e.email_id DESC

-- name: oldest_first
e.created_at, e.email_id

-- name: where_workspace
e.workspace = {} AND e.created_at IS NOT NULL

-- name: where_status
e.status = {}

-- name: where_statuses
e.status = ANY({}::text[])

-- name: where_unified_status
e.unified_status = {}

-- name: where_unified_statuses
e.unified_status = ANY({}::text[])

-- name: where_to
e.recipients @> ARRAY[{}]::text[]

-- name: where_to_contains
array_to_string(e.recipients, E'\n') LIKE {}

-- name: where_from
e.from_address = {}

-- name: where_from_contains
e.from_address LIKE {}

-- name: where_subject
e.subject ILIKE {}

-- name: where_any
(e.subject ILIKE {} OR e.from_address ILIKE {} OR array_to_string(e.recipients, E'\n') ILIKE {})

-- name: where_tag
e.tags @> ARRAY[{}]::text[]

-- name: where_batch_id
e.batch_id = {}

-- name: where_smtp_account_id
e.account_id = {}

-- name: where_created_after
e.created_at >= {}

-- name: where_created_before
e.created_at < {}

-- name: where_scheduled_after
e.scheduled_at >= {}

-- name: where_scheduled_before
e.scheduled_at < {}

-- name: where_older_than
(e.created_at, e.email_id) < ({}, {}::uuid)

-- name: where_newer_than
(e.created_at, e.email_id) > ({}, {}::uuid)
