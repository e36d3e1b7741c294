"""The Dagwire SDK."""
