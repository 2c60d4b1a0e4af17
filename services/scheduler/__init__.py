"""Scheduler: keeps whatever waits for a time or for its account's turn, and releases it then.

Consumes: requested.turn, requested.at, rescheduled, cancelled, deferred, every outcome
Produces: released, expired
Owns:     the table of what waits; the credit, pace and holds of accounts
Never:    SMTP, content decisions
"""
