-- name: complete_up_to
SELECT least(now(), projected_at) FROM projector.progress
