"""Emails: taking them in once, telling what became of them, and withdrawing those that still wait."""
