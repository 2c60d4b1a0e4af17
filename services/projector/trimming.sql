-- name: stretches
SELECT stretch, emails, seen_at FROM projector.stretches ORDER BY stretch DESC

-- name: forget
DELETE FROM projector.stretches WHERE stretch < $1
