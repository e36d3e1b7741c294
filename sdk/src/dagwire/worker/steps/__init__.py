"""Steps in pods of their own: what the run worker and its step workers say to each other, and who does what with it.

The run worker stays the only writer of its run's events. A step worker hands it what its step says, over plain NATS.
"""
