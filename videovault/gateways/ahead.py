"""A request that is sent while the answer before it is still coming, so that no round trip passes in between."""

from videovault.gateways.wire import Wire


class Ahead:
    """What was asked for ahead on a wire, which is here once the answer before has been read to its end."""

    def __init__(self) -> None:
        self._wire: Wire | None = None

    def follow_on(self, wire: Wire) -> None:
        """The answer before has ended: the next bytes on the wire are those of this one."""
        self._wire = wire

    def take_wire(self) -> Wire | None:
        """The wire with the answer, once; None if the answer before was broken off."""
        wire, self._wire = self._wire, None
        return wire

    def close(self) -> None:
        """The answer is not wanted any more."""
        if wire := self.take_wire():
            wire.close()
