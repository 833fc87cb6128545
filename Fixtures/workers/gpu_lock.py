"""Claims a GPU as workers without this program do: the lock holds the process id, and nothing else.

    python3 gpu_lock.py .gpu_locks/gpu_0.lock

Prints "held" and keeps the GPU until its standard input ends, then gives it back and exits 0. Where a living process
has the GPU: prints "busy PID" and exits 3. A lock whose process has ended is removed first.
"""

import os
import sys


def claim(path):
    """Returns None when the lock is ours, else the id of the process that holds it."""
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            with open(path) as file:
                holder = int(file.read())
            try:
                os.kill(holder, 0)
            except ProcessLookupError:
                os.remove(path)
                continue
            return holder
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        return None


def main():
    path = sys.argv[1]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    holder = claim(path)
    if holder is not None:
        print("busy", holder, flush=True)
        return 3
    print("held", flush=True)
    sys.stdin.read()
    os.remove(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
