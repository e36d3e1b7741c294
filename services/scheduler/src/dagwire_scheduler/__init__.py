"""The scheduler of Dagwire: turns due ticks of schedules into run requests, each exactly once."""
