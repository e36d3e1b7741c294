"""The eventstore service of Dagwire."""
