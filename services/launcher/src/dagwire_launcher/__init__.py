"""The launcher service of Dagwire."""
