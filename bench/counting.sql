-- name: fill
INSERT INTO projector.counts (at, workspace, tag, account_id, opened, emails_accepted, emails_sent, emails_opened)
SELECT at, 'default', tag, account_id, $4, $4, $4, $4
FROM generate_series($1::timestamptz, $2::timestamptz, interval '15 minutes') AS at
CROSS JOIN unnest(array_append($3::text[], '')) AS account_id
CROSS JOIN unnest(ARRAY['', 'tag1', 'tag2', 'tag3', 'tag4']) AS tag
