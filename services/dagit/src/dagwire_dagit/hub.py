"""hub"""


class Hub:
    epoch: int | None = None
