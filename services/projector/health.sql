-- name: is_there
SELECT sequence FROM projector.progress
