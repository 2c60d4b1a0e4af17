"""Projector: writes down what the log says, so that it can be listed, searched and kept when the log is trimmed.

Consumes: every record of the log, and of the bucket of suppressions
Produces: nothing
Owns:     the read model and the archive in Postgres (schema `projector`), the log's trimming
Never:    publishing events, SMTP
"""
