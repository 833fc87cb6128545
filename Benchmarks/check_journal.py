#!/usr/bin/env python3
"""Checks a journal by the description of the format alone, with none of the manager's code.

Run:  python3 check_journal.py DATA_DIR [--lines N]

Every segment in order: header, CRC-32C, seq without a gap, time that never falls, whole commands, the chain of
SHA-256, and the subfield EL of every gzip member that has one. `--lines N` checks the CRC of every Nth line only
(pure Python computes about 8 MB/s). Prints one JSON object; exit status 2 and a sentence where something is wrong.
"""

import argparse
import collections
import datetime
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

EPOCH = datetime.datetime(1970, 1, 1)
STATUS = {
    "added": "pending", "requeued": "pending", "released": "pending", "assigned": "assigned",
    "completed": "complete", "failed": "failed", "cancelled": "cancelled", "held": "held",
}  # fmt: skip


def make_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = make_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


class Damage(Exception):
    pass


def micros(text):
    delta = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ") - EPOCH
    return (delta.days * 86400 + delta.seconds) * 1000000 + delta.microseconds


def members(path):
    """The bytes of each gzip member, its length, and its EL subfield or None."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        subfield = None
        if data[at + 3] & 4:
            (length,) = struct.unpack_from("<H", data, at + 10)
            field, end = at + 12, at + 12 + length
            while field < end:
                name, size = data[field : field + 2], struct.unpack_from("<H", data, field + 2)[0]
                if name == b"EL":
                    subfield = struct.unpack_from("<QQq", data, field + 4)
                field += 4 + size
        inflater = zlib.decompressobj(31)
        text = inflater.decompress(data[at:])
        if not inflater.eof:
            raise Damage(f"{path.name}: ends in the middle of a member")
        length = len(data) - at - len(inflater.unused_data)
        yield text, length, subfield
        at += length


class Checker:
    def __init__(self, every):
        self.every, self.lines = every, 0
        self.seq, self.micros, self.segment, self.more = 0, 0, 0, False
        self.bytes, self.events_bytes, self.members, self.entered = 0, 0, 0, 0
        self.hash, self.types, self.status = None, collections.Counter(), {}

    def line(self, where, line):
        """Checks one line (without its newline); returns (seq, micros) of an event, None for a header."""
        body, mark, rest = line.rpartition(b',"crc":')
        self.lines += 1
        if not mark or (self.lines % self.every == 0 and rest != b'"%08x"}' % crc32c(body)):
            raise Damage(f"{where}: wrong crc")
        entry = json.loads(line)
        if "segment" in entry:
            self.header(where, entry)
            self.hash.update(line + b"\n")
            return None
        if self.hash is None:
            raise Damage(f"{where}: no header")
        self.hash.update(line + b"\n")
        if entry["seq"] != self.seq + 1:
            raise Damage(f"{where}: seq {entry['seq']} after {self.seq}")
        time = micros(entry["time"])
        if time < self.micros or (self.more and time != self.micros):
            raise Damage(f"{where}: time {entry['time']} after seq {self.seq}")
        if entry.get("synced", 0) > self.seq:
            raise Damage(f"{where}: synced {entry['synced']} beyond seq {self.seq}")
        self.seq, self.micros, self.more = entry["seq"], time, entry.get("more", False)
        self.types[entry["type"]] += 1
        self.events_bytes += len(line) + 1
        if entry["type"] in STATUS:
            self.status[entry["task"]] = STATUS[entry["type"]]
        return self.seq, time

    def header(self, where, entry):
        expected = self.hash.hexdigest() if self.hash else "0" * 64
        self.segment += 1
        if entry["segment"] != self.segment or entry["format"] != 1 or entry["first_seq"] != self.seq + 1:
            raise Damage(f"{where}: header of segment {entry['segment']}, expected {self.segment} from seq {self.seq + 1}")
        if entry["previous_sha256"] != expected:
            raise Damage(f"{where}: the chain is broken")
        if self.more:
            raise Damage(f"{where}: a command crosses segments")
        self.hash = hashlib.sha256()

    def text(self, path, text):
        """Checks whole lines; returns what `line` said of the first event among them."""
        if text and not text.endswith(b"\n"):
            raise Damage(f"{path.name}: a last line without newline")
        self.bytes += len(text)
        first = None
        for line in text.split(b"\n")[:-1]:
            event = self.line(f"{path.name}, line {self.lines + 1} of the journal", line)
            first = first or event
        return first

    def file(self, path):
        if path.suffix != ".gz":
            self.text(path, path.read_bytes())
            return
        for text, length, subfield in members(path):
            self.members += 1
            first = self.text(path, text)
            if subfield:
                self.entered += 1
                if subfield != (length, *first):
                    raise Damage(f"{path.name}: subfield {subfield}, expected {(length, *first)}")


def main():
    parser = argparse.ArgumentParser(description="Check a journal independently of the manager.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--lines", type=int, default=1, help="check the CRC of every Nth line (1)")
    arguments = parser.parse_args()
    folder = arguments.data_dir / "journal"
    sealed = {path.name[:20] for path in folder.glob("*.jsonl.gz")}
    files = sorted(folder.glob("*.jsonl.gz")) + [p for p in folder.glob("*.jsonl") if p.name[:20] not in sealed]
    checker = Checker(arguments.lines)
    try:
        for path in sorted(files, key=lambda p: p.name):
            checker.file(path)
        if checker.more:
            raise Damage("the last command is not whole")
    except Damage as damage:
        print(f"check_journal: {damage}", file=sys.stderr)
        sys.exit(2)
    statuses = collections.Counter(checker.status.values())
    print(
        json.dumps(
            {
                "events": checker.seq, "segments": checker.segment, "bytes": checker.bytes,
                "bytes_per_event": round(checker.events_bytes / max(checker.seq, 1), 1),
                "members": checker.members, "members_with_subfield": checker.entered,
                "tasks": len(checker.status), **dict(sorted(statuses.items())), "types": dict(sorted(checker.types.items())),
                "head_sha256": checker.hash.hexdigest() if checker.hash else None,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
