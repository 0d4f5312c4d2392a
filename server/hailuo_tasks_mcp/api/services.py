"""The services of the platform that make videos, and that one token reaches."""

from dataclasses import dataclass
from typing import Literal

ServiceName = Literal["hailuo", "minimax"]


# Compared by identity, because there is one of each, and a look-up hashes it for every id.
@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One service.

    Attributes:
        name: what it is called here.
        label: what it is called in a message.
        path: where its tasks are, below the base URL.

    """

    name: ServiceName
    label: str
    path: str


HAILUO = Service("hailuo", "Hailuo", "/hailuo/tasks")
# Hailuo's successor: the tasks that people have today are mostly its.
MINIMAX = Service("minimax", "MiniMax H3", "/minimax/tasks")

SERVICES = (MINIMAX, HAILUO)
"""All services, in the order in which an id is looked up that no service is known to know."""
