"""The Docker backend: a run worker is a container of one Docker engine."""
