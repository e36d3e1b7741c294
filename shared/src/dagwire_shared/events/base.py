"""What makes a class an event: a type name, a kind, and frozen fields."""

from typing import ClassVar

from dagwire_shared.model import Model
from dagwire_shared.subjects import Kind


class EventBase(Model):
    """The base of every event. The docstring of a subclass is its public documentation."""

    TYPE: ClassVar[str]
    """The CloudEvents ``type``: ``dagwire.<family>.<past tense>``. Public; never reused for anything else."""
    KIND: ClassVar[Kind]
    """The last token of the subject on which it is published."""
