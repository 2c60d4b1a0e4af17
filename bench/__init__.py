"""Measurements against controls in the same run; `make bench` prints the table and writes JSON."""
