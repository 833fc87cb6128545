"""Writes the golden journals of format 1, as a program of another maker would by the contract. Run once; never changed again."""
import gzip, hashlib, json, os

TABLE = []
for n in range(256):
    c = n
    for _ in range(8):
        c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    TABLE.append(c)


def crc(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = TABLE[(c ^ byte) & 255] ^ c >> 8
    return "%08x" % (c ^ 0xFFFFFFFF)


def line(**members):
    body = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return body + b',"crc":"' + crc(body).encode() + b'"}\n'


class Journal:
    def __init__(self, folder):
        self.folder, self.segment, self.seq, self.previous = folder + "/journal", 0, 0, "0" * 64
        os.makedirs(self.folder, exist_ok=True)
        self.lines = []

    def begin(self, format=1):
        self.segment += 1
        self.lines = [line(segment=self.segment, format=format, first_seq=self.seq + 1, previous_sha256=self.previous)]
        self.first = self.seq + 1

    def command(self, second, *events):
        before = self.seq
        for index, event in enumerate(events):
            self.seq += 1
            end = {"synced": before} if index == 0 else {}
            if index + 1 < len(events):
                end["more"] = True
            self.lines.append(line(seq=self.seq, time="2025-12-19T23:%02d:%02d.000001Z" % divmod(second, 60), **event, **end))

    def end(self, sealed):
        data = b"".join(self.lines)
        self.previous = hashlib.sha256(data).hexdigest()
        name = "%s/%020d.jsonl" % (self.folder, self.first)
        if sealed:
            data = gzip.compress(data, 9, mtime=0)
        with open(name + (".gz" if sealed else ""), "wb") as file:
            file.write(data)


def added(task, **more):
    return dict(type="added", task=task, phase="p", config={"lr": 0.1, "name": "ä"}, seed=42, output_dirs=["results_p"], **more)


def assigned(task, worker, attempt, **more):
    return dict(type="assigned", task=task, worker=worker, attempt=attempt, **more)


every = Journal("every_type")
every.begin()
every.command(1, dict(type="started", version="0.1.0", host="h", pid=7))
every.command(2, added("a", counter=0), added("b", priority=3, max_retries=1, timeout_s=60), added("c", key=["lr"]), added("d"), added("e"), added("f", later={"unknown": [1, {"x": "}"}]}))
every.command(3, assigned("a", "gpu0", 1, heartbeat_s=5), assigned("b", "gpu1", 1, gpu=1))
every.command(9, dict(type="completed", task="a", worker="gpu0", attempt=1, via="worker", result={"acc": 0.5}, exit_code=0))
every.command(10, dict(type="failed", task="b", worker="gpu1", attempt=1, error="boom \"x\"\n"), dict(type="requeued", task="b", reason="retry"))
every.end(sealed=True)
every.begin()
every.command(20, dict(type="weather", note=True, sky="unknown to every reader"))
every.command(21, assigned("b", "gpu1", 2), assigned("c", "gpu0", 1, since="2025-12-19T22:00:00.000000Z"))
every.command(30, dict(type="failed", task="b", worker="gpu1", attempt=2, error="again"))
every.command(31, dict(type="requeued", task="c", reason="stale"), dict(type="held", task="c", reason="poison"))
every.command(32, dict(type="cancelled", task="d", reason="not needed"), dict(type="held", task="e"))
every.command(33, dict(type="released", task="e"), dict(type="prioritised", task="e", priority=9), dict(type="extended", task="e", output_dirs=["more"]))
every.command(34, dict(type="completed", task="e", worker=None, attempt=0, via="csv", file="results_p/final_results.csv", row=2, row_sha256="ab" * 32), dict(type="csv_read", file="results_p/final_results.csv", bytes=80, sha256="cd" * 32))
every.command(35, dict(type="result", task="e", worker=None, attempt=0, result={"acc": 1}), dict(type="requeued", task="a", reason="operator"))
every.command(36, dict(type="stopped", note=True))
every.end(sealed=False)

gap = Journal("known_gap")
gap.begin()
gap.command(1, added("a"), added("b"))
gap.command(2, assigned("a", "w", 1))
gap.seq = 5
gap.lines.append(line(gap={"first_seq": 4, "last_seq": 5, "sha256": hashlib.sha256(b"").hexdigest(), "file": "quarantine/4-e3b0c44298fc1c14"}))
gap.command(9, dict(type="completed", task="a", worker="w", attempt=1, via="worker"))
gap.end(sealed=False)

newer = Journal("newer_format")
newer.begin(format=2)
newer.command(1, added("a"))
newer.end(sealed=False)

unknown = Journal("unknown_type")
unknown.begin()
unknown.command(1, added("a"), dict(type="teleported", task="a"))
unknown.end(sealed=False)

# Added later: what an import brings, all at one moment, with assignments of before; then the work goes on.
brought = Journal("brought")
brought.begin()
brought.command(
    1,
    dict(type="imported", note=True, source="/elsewhere", kind="directory", tasks=6),
    added("done"), assigned("done", "gpu0", 1, since="2025-12-01T08:00:00.000000Z"),
    dict(type="completed", task="done", worker="gpu0", attempt=1, via="worker"),
    added("retried"), assigned("retried", "gpu0", 1, since="2025-12-01T09:00:00.000000Z"),
    dict(type="failed", task="retried", worker="gpu0", attempt=1, error=None), dict(type="requeued", task="retried", reason="retry"),
    assigned("retried", "gpu1", 2, since="2025-12-01T10:00:00.000000Z"),
    dict(type="completed", task="retried", worker="gpu1", attempt=2, via="worker"),
    added("returned"), assigned("returned", "gpu1", 1, since="2025-12-02T08:00:00.000000Z"),
    dict(type="requeued", task="returned", reason="returned"),
    added("running"), assigned("running", "gpu0", 1, since="2025-12-19T20:00:00.000000Z"),
    added("failed", max_retries=0), assigned("failed", "gpu1", 1, since="2025-12-03T08:00:00.000000Z"),
    dict(type="failed", task="failed", worker="gpu1", attempt=1, error="boom"),
    added("cancelled"), assigned("cancelled", "gpu1", 1, since="2025-12-04T08:00:00.000000Z"), dict(type="cancelled", task="cancelled"),
)
brought.end(sealed=True)
brought.begin()
brought.command(2, dict(type="started", version="0.1.0", host="h", pid=7))
brought.command(10, dict(type="completed", task="running", worker="gpu0", attempt=1, via="worker"))
brought.command(20, assigned("returned", "gpu0", 2))
brought.command(24, dict(type="completed", task="returned", worker="gpu0", attempt=2, via="worker"))
brought.end(sealed=False)
