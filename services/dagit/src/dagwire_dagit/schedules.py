"""schedules"""


class Schedules: ...
