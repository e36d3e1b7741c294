"""launches"""


class Launches: ...
