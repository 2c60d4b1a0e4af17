"""Faults on purpose: each scenario is one file; after each the invariants of a service that loses nothing hold."""
