"""Bootstrap: makes the world the other services expect, and can be run again at any time.

Consumes: nothing
Produces: nothing
Owns:     the existence of stream, consumers, buckets, schemas and roles
Never:    data
"""
