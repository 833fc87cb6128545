#!/usr/bin/env python3
"""Measures a restart of the manager while sixteen programs run, as for an upgrade: how long no work is handed out.

Run:  python3 Benchmarks/restart.py [--manager .build/release/manager] [--restarts 5] [--slots 16] [--seconds 0.5]

One worker with sixteen slots runs programs of half a second. In the middle of that the manager gets SIGTERM, and the next
one is started at once, on the same ports. From the journal: the time from `stopped` to the next `started`, to the first
completion that was delivered after it, and to the first assignment. At the end no attempt may have been lost or run twice.
Everything stands in a temporary directory; only 127.0.0.1 is used; every process is stopped by its id.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("MANAGER_")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_(what, holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds} s for {what}")
        time.sleep(0.01)


class Manager:
    def __init__(self, binary, data, http, tcp):
        self.url = f"http://127.0.0.1:{http}"
        self.process = subprocess.Popen(
            [binary, "serve", "--data-dir", data, "--listen", f"127.0.0.1:{http}", "--worker-listen", f"127.0.0.1:{tcp}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        await_("the manager", self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            sys.exit("the manager did not start")
        try:
            return urllib.request.urlopen(self.url + "/readyz", timeout=5).status == 200
        except OSError:
            return False

    def call(self, path, body=None):
        request = urllib.request.Request(self.url + "/api/v1" + path, body, {"Content-Type": "application/json"})
        return urllib.request.urlopen(request, timeout=60).read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            sys.exit("the manager did not stop well")


def moment(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def report(events, restarts):
    gaps = {"started": [], "completed": [], "assigned": []}
    for stopped in [event for event in events if event["type"] == "stopped"][:restarts]:
        for kind, found in gaps.items():
            later = [e for e in events if e["seq"] > stopped["seq"] and e["type"] == kind]
            found.append(1000 * (moment(later[0]) - moment(stopped)))
    names = {"started": "the next start", "completed": "the first completion", "assigned": "the first assignment"}
    for kind, found in gaps.items():
        print(f"from stop to {names[kind]:22} median {statistics.median(found):7.0f} ms   worst {max(found):7.0f} ms")


def main():
    parser = argparse.ArgumentParser(description="A restart of the manager under busy workers.")
    parser.add_argument("--manager", default=ROOT / ".build/release/manager")
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    count = int(options.slots * (options.restarts + 2) * 2 / options.seconds / 2)
    work = Path(tempfile.mkdtemp())
    worker = manager = None
    try:
        ports = (free_port(), free_port())
        manager = Manager(options.manager, work / "data", *ports)
        tasks = [{"task_id": f"t{number}", "phase": "p", "config": {}} for number in range(count)]
        manager.call("/tasks", json.dumps(tasks).encode())
        worker = subprocess.Popen(
            [options.manager, "worker", "--url", f"tcp://127.0.0.1:{ports[1]}", "--dir", work, "--name", "w", "--slots",
             str(options.slots), "--heartbeat", "1s", "--", "sleep", str(options.seconds)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        for number in range(options.restarts):
            wanted = options.slots * (number + 1) * 2
            await_("completions", lambda: json.loads(manager.call("/status"))["complete"] >= wanted)
            manager.stop()
            manager = Manager(options.manager, work / "data", *ports)
        await_("the end", lambda: json.loads(manager.call("/status"))["complete"] == count, 600)
        events = [json.loads(line) for line in manager.call("/events").splitlines()]
        kinds = [event["type"] for event in events]
        report(events, options.restarts)
        if kinds.count("assigned") != count or kinds.count("completed") != count or "requeued" in kinds:
            sys.exit("an attempt was lost or run twice")
        print(f"{count} tasks of {options.seconds} s on {options.slots} slots, {options.restarts} restarts: each run once")
    finally:
        if worker:
            worker.send_signal(signal.SIGTERM)
            worker.wait()
        if manager and manager.process.poll() is None:
            manager.stop()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
