"""The Kubernetes backend: a run worker is a Job of a cluster (ADR 0011)."""
