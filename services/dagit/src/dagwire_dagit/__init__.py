"""The dagit service of Dagwire."""
