-- name: read
SELECT given.place, events.event_id, events.type, events.sequence, events.payload
FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS given (workspace, email_id, place)
JOIN projector.events USING (workspace, email_id)
