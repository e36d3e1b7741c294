"""``dagwire up``: every part of Dagwire on one machine, with an embedded NATS server and PostgreSQL."""
