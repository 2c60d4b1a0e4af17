"""The command line: what the API can do, for people and scripts, and what an operator asks of the parts.

Speaks the API; only `tail`, `workspaces` and `doctor` talk to the broker and the database themselves.
"""
