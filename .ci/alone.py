"""Runs a command while no other is run by this script for the same folder.

`python3 .ci/alone.py FOLDER COMMAND...`: a second one says that it waits, and waits. The lock is
the system's own, on the folder itself: it leaves nothing behind and ends with the command, however
that ends.
"""

import fcntl
import os
import sys

folder, *command = sys.argv[1:]
descriptor = os.open(folder, os.O_RDONLY)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    where = os.path.realpath(folder)
    print(f"Another make is at work in {where}: waiting for it to end.", file=sys.stderr)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
except OSError:  # a file system without locks
    pass
os.set_inheritable(descriptor, True)  # held until the command ends
os.execvp(command[0], command)  # noqa: S606
