"""The standalone service of Dagwire."""
