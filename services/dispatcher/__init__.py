"""Dispatcher: hands each email to its next hop, once, and writes down what was said.

Consumes: requested.now, released
Produces: sending, sent, deferred, failed, suppressed, unconfirmed
Owns:     SMTP sessions, connection leases, the accounts' message limits; adds to the suppression lists
Never:    Postgres, waiting for a later time
"""
