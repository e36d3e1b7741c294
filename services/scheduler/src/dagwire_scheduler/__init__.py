"""The scheduler service of Dagwire."""
