"""What a code server is started with. Read from the command line by ``dagwire.cli.serve``."""

from dataclasses import dataclass
from pathlib import Path

from dagwire_shared.records import CodePointer


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeServerSettings:
    """One code server's settings."""

    pointer: CodePointer
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    watch: tuple[Path, ...] = ()
    """Folders whose changes reload the code; empty: it is loaded once."""
    location_name: str = ""
    """For the log; clients name a location by their workspace."""
    image: str = ""
    container_context: str = ""
    """What run pods of this location shall be like, as JSON; empty: nothing is said."""
    max_workers: int = 8
    """So many questions run user code at a time."""
    user_code_timeout: float = 60.0
    """Seconds that one of them may take."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions clients are told."""
    ready_file: Path | None = None
    """Where the address is written once the server answers."""
