"""How far a comparison is, for whoever looks on from another thread, and the way to end it early."""

from dataclasses import dataclass


@dataclass
class Progress:
    """``objects`` and ``videos`` of ``of_videos`` stored ones are looked at; ``mended`` of what was ``found``."""

    objects: int = 0
    videos: int = 0
    of_videos: int = 0
    found: int = 0
    mended: int = 0
    is_stopped: bool = False

    def stop(self) -> None:
        """Begin with nothing further; what is done stays done, and what is left is found the next time."""
        self.is_stopped = True
