"""The area of SMTP accounts: who a workspace may send through, with secrets that only go in."""
