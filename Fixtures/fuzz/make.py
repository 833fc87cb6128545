#!/usr/bin/env python3
"""Writes the inputs that fuzzing begins with, from the fixtures beside it: python3 Fixtures/fuzz/make.py

The first byte of each input chooses a way in (Tests/ManagerTests/Fuzzing). What a fuzzer has found stands beside them, named
after what was wrong.
"""
import gzip
import json
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent


def write(target, name, way, content):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    (folder / f"seed-{name}").write_bytes(bytes([way]) + content)


def main():
    every = FIXTURES / "journals/every_type"
    sealed = (every / "journal/00000000000000000001.jsonl.gz").read_bytes()
    first = gzip.decompress(sealed)
    second = (every / "journal/00000000000000000013.jsonl").read_bytes()
    gap = (FIXTURES / "journals/known_gap/journal/00000000000000000001.jsonl").read_bytes()
    for name, lines in (("every-type", first + second), ("first", first), ("known-gap", gap)):
        write("lines", name, 0, lines)
        write("lines", name + "-mended", 1, lines)
        for way, kind in ((1, "foreign"), (2, "own"), (5, "foreign-mended"), (6, "own-mended")):
            write("gzip", f"{name}-{kind}", way, lines)
    write("gzip", "sealed", 0, sealed)
    write("gzip", "two-members", 3, sealed)

    def talk(*requests):
        return b"".join(json.dumps(request, separators=(",", ":")).encode() + b"\n" for request in requests)

    write("protocol", "claim", 1, talk(
        {"type": "claim", "worker_id": "w", "count": 2, "wait_s": 0, "heartbeat_s": 5},
        {"type": "heartbeat", "worker_id": "w", "items": [{"task_id": "t0", "attempt": 1, "progress": 0.5}]},
        {"type": "complete", "worker_id": "w", "items": [{"task_id": "t0", "attempt": 1, "result": {"acc": [0.5, 1e3]}}]},
        {"type": "fail", "worker_id": "w", "items": [{"task_id": "t1", "attempt": 1, "error": "e", "exit_code": 1}]},
        {"type": "return", "worker_id": "w", "items": [{"task_id": "t1", "attempt": 1}]},
        {"type": "status"}))
    write("protocol", "add", 255, talk(
        {"type": "add", "tasks": [{"task_id": "n", "phase": "q", "config": {"x": [1, {"y": None}]}, "seed": 7, "output_dirs": ["a"],
                                   "priority": 3, "max_retries": 1, "timeout_s": 2.5, "after": ["p"], "command": ["sh"],
                                   "key": ["x"], "env": {"A": "b"}, "cwd": "c"}]},
        {"type": "auth", "token": "t"}, {"type": "request_task", "worker_id": "w", "gpu_id": 0}))
    for name, request in (
        ("request", {"type": "request_task", "worker_id": "w", "gpu_id": 1}),
        ("complete", {"type": "task_complete", "task_id": "t0", "worker_id": "w"}),
        ("result", {"type": "submit_result", "task_id": "t0", "worker_id": "w", "result_data": {"acc": 0.5, "s": "a\n\u00e4"}}),
        ("failed", {"type": "task_failed", "task_id": "t0", "worker_id": "w", "error": "e"}),
        ("status", {"type": "status"}),
    ):
        write("protocol", "old-" + name, 254, json.dumps(request).encode())
    write("protocol", "body-claim", 254, b'{"worker":"w","count":2,"gpu":1,"wait_s":0.5,"heartbeat_s":5,"host":"h"}')
    write("protocol", "body-report", 254, b'{"worker":"w","attempt":1,"result":{"a":[1,2,{"b":"\\u00e4\\ud83d\\ude00"}]},"error":"e"}')

    write("csv", "rows", 0, b"task_id,attempt,phase,seed,x,acc,note\nu,1,p,42,1,0.5,\"a,\"\"b\"\"\n\"\nt,2,p,42,1,0.25,\n")
    write("csv", "returns", 7, b"task_id,acc\r\nu,0.5\r\nv,\"open\r\n")
    write("csv", "torn", 9, b"task_id,attempt,phase,seed,x,acc,note\nt,1,p,42,1,0.")
    write("csv", "columns", 3, b"phase,seed,x,acc,acc\np,42,1.0,4,5\np,42,1\n")
    write("csv", "hole", 5, b"task_id,acc\nu,0.5\n" + bytes(40) + b"\n")

    for name in ("every_type", "known_gap"):
        state = (FIXTURES / f"journals/{name}/state.json").read_bytes()
        write("state", name, 0, state)
        write("state", name + "-mended", 1, state)
    python = json.loads((FIXTURES / "python_state/manager_state.json").read_text())
    python["tasks"] = dict(list(python["tasks"].items())[:4])
    python["assigned_tasks"] = {}
    write("state", "python", 2, json.dumps(python).encode())


if __name__ == "__main__":
    main()
