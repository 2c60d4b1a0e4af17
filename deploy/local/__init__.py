"""The whole of Sendlog on one machine, in the foreground, under one supervisor: `python -m deploy.local`.

It starts processes by name and imports none of them, so a service that cannot even be imported
is a sentence on the console and never a supervisor that does not start.
"""
