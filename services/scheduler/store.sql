-- The scheduler's statements. Every one is driven by an index; the pool forbids the planner anything else.

-- name: lock_rows
SELECT w.workspace, w.email_id::text, w.account_id, w.state, w.due_at, w.sequence, w.proven, w.bulk, w.round,
       w.attempts, w.revision, w.expires_at, w.released_at, w.reason, NULL::bytea AS payload
FROM unnest($1::text[], $2::uuid[]) AS u(workspace, email_id)
JOIN scheduler.waiting w ON w.workspace = u.workspace AND w.email_id = u.email_id
ORDER BY w.workspace, w.email_id
FOR UPDATE OF w

-- name: insert_rows
INSERT INTO scheduler.waiting (workspace, email_id, account_id, state, due_at, sequence, proven, bulk, round,
                               attempts, revision, expires_at, released_at, reason, payload)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
                     $7::boolean[], $8::boolean[], $9::integer[], $10::integer[], $11::integer[],
                     $12::timestamptz[], $13::timestamptz[], $14::text[], $15::bytea[])
ON CONFLICT DO NOTHING
RETURNING workspace, email_id::text

-- A waiting row whose payload is not given keeps the one it has; what does not wait has none.
-- name: update_rows
UPDATE scheduler.waiting w
SET account_id = u.account_id, state = u.state, due_at = u.due_at, sequence = u.sequence, proven = u.proven,
    bulk = u.bulk, round = u.round, attempts = u.attempts, revision = u.revision, expires_at = u.expires_at,
    released_at = u.released_at, reason = u.reason,
    payload = CASE WHEN u.state = 'waiting' THEN coalesce(u.payload, w.payload) END
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
            $7::boolean[], $8::boolean[], $9::integer[], $10::integer[], $11::integer[],
            $12::timestamptz[], $13::timestamptz[], $14::text[], $15::bytea[])
     AS u(workspace, email_id, account_id, state, due_at, sequence, proven, bulk, round, attempts, revision,
          expires_at, released_at, reason, payload)
WHERE w.workspace = u.workspace AND w.email_id = u.email_id

-- What waits no longer, if the row is still as it was read.
-- name: end_waits
UPDATE scheduler.waiting w
SET state = u.state, sequence = u.sequence, proven = true, round = u.round, expires_at = u.expires_at,
    released_at = u.released_at, reason = NULL, payload = NULL
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::integer[], $7::timestamptz[],
            $8::timestamptz[])
     AS u(workspace, email_id, known, state, sequence, round, expires_at, released_at)
WHERE w.workspace = u.workspace AND w.email_id = u.email_id AND w.sequence = u.known
RETURNING w.email_id::text

-- name: write_holds
INSERT INTO scheduler.holds AS h (workspace, account_id, until, since, code)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[])
ORDER BY 1, 2
ON CONFLICT (workspace, account_id) DO UPDATE
SET until = greatest(h.until, excluded.until), since = greatest(h.since, excluded.since), code = excluded.code
WHERE (excluded.until, excluded.since) > (h.until, h.since)

-- name: add_lanes
INSERT INTO scheduler.lanes (workspace, account_id)
SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
ON CONFLICT DO NOTHING

-- Another scheduler that has a lane is at it: nothing to wait for.
-- name: lock_lanes
SELECT l.workspace, l.account_id, l.next_at
FROM unnest($1::text[], $2::text[]) AS u(workspace, account_id)
JOIN scheduler.lanes l ON l.workspace = u.workspace AND l.account_id = u.account_id
FOR UPDATE OF l SKIP LOCKED

-- Asked after the lanes are locked, in a statement of its own: its snapshot must not be older than the lock.
-- name: standings
SELECT u.workspace, u.account_id, h.until, h.since,
       (SELECT count(*) FROM scheduler.waiting w
        WHERE w.workspace = u.workspace AND w.account_id = u.account_id AND w.state = 'released') AS outstanding,
       (SELECT count(*) FROM scheduler.waiting w WHERE w.state = 'released') AS everybody
FROM unnest($1::text[], $2::text[]) AS u(workspace, account_id)
LEFT JOIN scheduler.holds h ON h.workspace = u.workspace AND h.account_id = u.account_id

-- name: due_rows
SELECT w.workspace, w.email_id::text, w.account_id, w.state, w.due_at, w.sequence, w.proven, w.bulk, w.round,
       w.attempts, w.revision, w.expires_at, w.released_at, w.reason, w.payload
FROM unnest($1::text[], $2::text[], $3::integer[]) AS u(workspace, account_id, quota)
CROSS JOIN LATERAL (
    SELECT * FROM scheduler.waiting w
    WHERE w.workspace = u.workspace AND w.account_id = u.account_id AND w.bulk = $4
      AND w.state = 'waiting' AND w.due_at <= $5
    ORDER BY w.due_at
    LIMIT u.quota
) w

-- name: pace_lanes
UPDATE scheduler.lanes l
SET next_at = u.next_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u(workspace, account_id, next_at)
WHERE l.workspace = u.workspace AND l.account_id = u.account_id

-- name: next_due
SELECT u.workspace, u.account_id, least(
    (SELECT min(w.due_at) FROM scheduler.waiting w WHERE w.workspace = u.workspace
        AND w.account_id = u.account_id AND NOT w.bulk AND w.state = 'waiting'),
    (SELECT min(w.due_at) FROM scheduler.waiting w WHERE w.workspace = u.workspace
        AND w.account_id = u.account_id AND w.bulk AND w.state = 'waiting')) AS due_at
FROM unnest($1::text[], $2::text[]) AS u(workspace, account_id)

-- Steps from account to account along the index instead of reading every row; the last line is the
-- earliest deadline.
-- name: look
WITH RECURSIVE lane AS (
    (SELECT w.workspace, w.account_id FROM scheduler.waiting w WHERE w.state = 'waiting'
     ORDER BY w.workspace, w.account_id LIMIT 1)
    UNION ALL
    SELECT n.workspace, n.account_id FROM lane CROSS JOIN LATERAL (
        SELECT w.workspace, w.account_id FROM scheduler.waiting w
        WHERE w.state = 'waiting' AND (w.workspace, w.account_id) > (lane.workspace, lane.account_id)
        ORDER BY w.workspace, w.account_id LIMIT 1
    ) n
)
SELECT lane.workspace, lane.account_id, least(
    (SELECT min(w.due_at) FROM scheduler.waiting w WHERE w.workspace = lane.workspace
        AND w.account_id = lane.account_id AND NOT w.bulk AND w.state = 'waiting'),
    (SELECT min(w.due_at) FROM scheduler.waiting w WHERE w.workspace = lane.workspace
        AND w.account_id = lane.account_id AND w.bulk AND w.state = 'waiting')) AS at
FROM lane
UNION ALL
SELECT NULL, NULL, (SELECT min(w.expires_at) FROM scheduler.waiting w
                    WHERE w.state = 'waiting' AND w.expires_at IS NOT NULL)

-- Deadlines, look-ups and tombstones are one scheduler's work at a time.
-- name: only_one
SELECT pg_try_advisory_xact_lock(727365, 1)

-- name: expired_rows
SELECT w.workspace, w.email_id::text, w.account_id, w.state, w.due_at, w.sequence, w.proven, w.bulk, w.round,
       w.attempts, w.revision, w.expires_at, w.released_at, w.reason, w.payload
FROM scheduler.waiting w
WHERE w.state = 'waiting' AND w.expires_at IS NOT NULL AND w.expires_at <= $1
ORDER BY w.expires_at
LIMIT 200

-- name: long_released
SELECT w.workspace, w.email_id::text, w.account_id, w.state, w.due_at, w.sequence, w.proven, w.bulk, w.round,
       w.attempts, w.revision, w.expires_at, w.released_at, w.reason, NULL::bytea AS payload
FROM scheduler.waiting w
WHERE w.state = 'released' AND w.released_at <= $1
LIMIT 100

-- name: postpone
UPDATE scheduler.waiting w
SET due_at = CASE WHEN w.state = 'waiting' THEN $3 ELSE w.due_at END
FROM unnest($1::text[], $2::uuid[]) AS u(workspace, email_id)
WHERE w.workspace = u.workspace AND w.email_id = u.email_id

-- name: trim_done
DELETE FROM scheduler.waiting
WHERE ctid = ANY (ARRAY(
    SELECT w.ctid FROM scheduler.waiting w
    WHERE w.state = 'done' AND w.sequence < $1
    ORDER BY w.sequence
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
))

-- Mail of an account that cannot send has never been released: its deadline runs from now on.
-- name: give_deadlines
UPDATE scheduler.waiting
SET expires_at = $2
WHERE ctid = ANY (ARRAY(
    SELECT w.ctid FROM scheduler.holds h CROSS JOIN LATERAL (
        SELECT w.ctid FROM scheduler.waiting w
        WHERE w.workspace = h.workspace AND w.account_id = h.account_id AND w.state = 'waiting'
          AND w.bulk IN (false, true) AND w.due_at <= $1 AND w.expires_at IS NULL
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ) w
    WHERE h.code IN ('account_disabled', 'account_deleted', 'account_secret_unreadable') AND h.until > $1
    LIMIT 1000
))

-- The account was changed since: what it could not do then, it may be able to do now.
-- name: lift_holds
DELETE FROM scheduler.holds h
USING unnest($1::text[], $2::text[], $3::timestamptz[]) AS u(workspace, account_id, changed_at)
WHERE h.workspace = u.workspace AND h.account_id = u.account_id AND h.since < u.changed_at

-- name: drop_holds
DELETE FROM scheduler.holds WHERE until < $1
