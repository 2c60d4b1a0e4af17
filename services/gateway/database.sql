-- name: answers
SELECT 1
