"""The bus contract of Dagwire: what the parts say to each other, and how.

Nothing here knows Kubernetes, PostgreSQL, HTTP or user code. See ``docs/reference/bus.md``.
"""
