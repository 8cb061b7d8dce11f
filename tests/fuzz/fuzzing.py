"""What the fuzz programs share: mutations of bytes, and the memory that a process has taken."""

import random
import resource
import sys
from pathlib import Path


def mutated(rng: random.Random, content: bytes) -> bytes:
    """The content after one to four small changes."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content) + 1)
        length = rng.choice((0, 1, 1, 2, 4, 16, 1000))
        match rng.randrange(6):
            case 0:  # one bit
                if place < len(content):
                    flipped = bytes([content[place] ^ 1 << rng.randrange(8)])
                    content = content[:place] + flipped + content[place + 1 :]
            case 1:  # others in their place
                content = content[:place] + rng.randbytes(length) + content[place + length :]
            case 2:  # more
                content = content[:place] + rng.randbytes(length) + content[place:]
            case 3:  # fewer
                content = content[:place] + content[place + length :]
            case 4:  # some twice
                content = content[: place + length] + content[place:]
            case 5:  # cut short
                content = content[:place]
    return content


def peak_mib() -> float:
    """The most memory that this process has had, in MiB.

    By `VmHWM` where there is one: what `getrusage` says begins with the parent's.
    """
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kib /= 1024 if sys.platform == "darwin" else 1
    return round(kib / 1024, 1)
