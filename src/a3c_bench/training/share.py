"""Which of a training's hosts this one is, and which of its actors."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One host's part of a training."""

    number: int = 0
    """0 is the head."""
    hosts: int = 1

    def actors(self, all_actors: int, number: int | None = None) -> range:
        """The actors of this host, or of another by its number: neighbours, so that they travel as one message."""
        number = self.number if number is None else number
        return range(number * all_actors // self.hosts, (number + 1) * all_actors // self.hosts)

    @property
    def others(self) -> list[int]:
        """The numbers of the other hosts."""
        return [number for number in range(self.hosts) if number != self.number]
