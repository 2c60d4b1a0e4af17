"""The published language: what can happen to an email, and what follows from it. Pure.

An event is a class, a sentence and a golden sample (tests/contract/golden). Each file is one
service's voice: submission (gateway), schedule (scheduler), delivery (dispatcher),
signal (tracker).
"""
