"""The code server: answers questions about user code over gRPC. It runs no jobs."""
