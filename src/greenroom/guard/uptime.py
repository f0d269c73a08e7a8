"""Whether the machine was on all the time between two moments, told by the kernel and by no process of the box."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.errors import Unusable

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOST_ASLEEP_NS = 5_000_000_000
"""The two clocks are read one after the other, and a suspension that nobody notices takes no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """`boot` differs after each start of the machine; `awake_ns` and `asleep_ns`, while suspended, count since it."""

    boot: str
    awake_ns: int
    asleep_ns: int

    def on_since(self, earlier: Uptime) -> bool:
        """True when the machine was neither off nor suspended since `earlier`."""
        return self.boot == earlier.boot and self.asleep_ns - earlier.asleep_ns <= MOST_ASLEEP_NS


def read() -> Uptime:
    """The machine's (clock_gettime(2), random(4)); raises Unusable `no-boot-id` where the kernel does not tell."""
    try:
        boot = _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise Unusable(
            "no-boot-id",
            f"it cannot be told whether this machine was off: {error}",
            where=str(_BOOT_ID),
            remedy="approve each change by hand: `greenroom approve ID`",
        ) from None
    awake = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return Uptime(boot=boot, awake_ns=awake, asleep_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME) - awake)
