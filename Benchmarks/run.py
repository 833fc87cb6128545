#!/usr/bin/env python3
"""Measures the manager in release mode against the simplest programs that do the part that cannot be left out.

Run:  make bench                                  everything, a few minutes after the build
      make bench options="--record"               and append the result to Benchmarks/RESULTS.md
      python3 Benchmarks/run.py [--only replay,past,custody,steps,sync,http] [--runs 5] [--step-runs 3] [--seconds 3]
                                [--events 2000000] [--work-dir .build/bench] [--skip-build | --manager PATH [--yardstick PATH] | --no-manager]
                                [--record]

  replay  a sealed journal folded into the full state, against `gzip -dc | wc -c` and one core of zlib
  past    any moment of a long journal, with the checkpoints that a manager has written, against a full replay
  custody what such a journal takes on the disk as it grows, and how long copying, starting, exporting, restoring and
          discarding take, against `cp -r` of the directory
  steps   durable steps of the workers' protocol at 1, 16 and 64 connections, against an ideal append server
  sync    one step at 1 connection, against one fdatasync of an append of the same size
  http    durable claims and completions over HTTP at 64 connections, against hummingbird's empty answer

Alternatives are run in turn, medians are printed. The work directory must be on the disk that is to be measured; the
generated journals stay there for the next time (about 120 MB; with `past` 3 GB). `--no-manager` measures the references alone. Every
process that is started is stopped by its id; only 127.0.0.1 is used. Python 3, standard library only.
"""

import argparse
import collections
import datetime
import glob
import gzip
import hashlib
import http.client
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAMS = {
    "make_journal": ["g++", "-std=c++17", "-O2", "make_journal.cpp", "-lz"],
    "inflate": ["gcc", "-O2", "inflate.c", "-lz"],
    "step_client": ["g++", "-std=c++17", "-O2", "-pthread", "step_client.cpp"],
    "http_client": ["g++", "-std=c++17", "-O2", "-pthread", "http_client.cpp"],
    "ideal_server": ["g++", "-std=c++17", "-O2", "ideal_server.cpp"],
    "sync_append": ["gcc", "-O2", "sync_append.c"],
}
PARTS = ["replay", "past", "custody", "steps", "sync", "http"]
# A setting of the caller's shell must not change what is measured.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("MANAGER_")}


class Failure(Exception):
    pass


# ---------------------------------------------------------------------------------------------- running programs


def output(command, **options):
    """The standard output of a program that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, **options)
    if done.returncode != 0:
        raise Failure(f"exit status {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def measured(command, cwd, keep_output):
    """Runs to the end: (seconds, CPU seconds, peak MB, standard output or None)."""
    sink = open(cwd / "out.tmp", "w+b") if keep_output else open(os.devnull, "wb")
    with sink, open(cwd / "err.tmp", "w+b") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=errors, env=ENVIRONMENT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read()[-2000:].decode(errors="replace").strip()
            raise Failure(f"exit status {process.returncode}: {' '.join(map(str, command))}\n{said}")
        text = None
        if keep_output:
            sink.seek(0)
            text = sink.read().decode()
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


@contextmanager
def running(command, cwd, log):
    """A server for as long as the block lasts; SIGTERM at its end, SIGKILL after 20 s."""
    with open(log, "wb") as sink:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=ENVIRONMENT
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def wait_until(what, check, process, log, seconds=60):
    end = time.monotonic() + seconds
    while not check():
        if process.poll() is not None or time.monotonic() > end:
            said = Path(log).read_bytes()[-2000:].decode(errors="replace").strip()
            raise Failure(f"{what} was not ready within {seconds} s (exit status {process.poll()})\n{said}")
        time.sleep(0.02)


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------------------------------------- building


def build_programs(work):
    folder = work / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in HERE.glob("*.[ch]*"))
    built = {}
    for name, (compiler, *rest) in PROGRAMS.items():
        built[name] = folder / name
        if not built[name].exists() or built[name].stat().st_mtime <= newest:
            output([compiler, *rest, "-o", str(built[name])], cwd=HERE)
    return built


def release_folder():
    return Path(output(["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT).strip())


def build(product, skip):
    if not skip:
        print(f"Building the release {product} ...", flush=True)
        command = ["swift", "build", "-c", "release", "--product", product]
        # The yardstick is in the package for the benchmarks alone.
        subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, env={**os.environ, "MANAGER_BENCHMARKS": "1"})
    program = release_folder() / product
    if not program.exists():
        raise Failure(f"{program} is not there: run without --skip-build")
    return program


# ---------------------------------------------------------------------------------------------- tables


class Report:
    """Lines for the terminal and, the same, for RESULTS.md."""

    def __init__(self):
        self.lines = []

    def line(self, text=""):
        self.lines.append(text)
        print(text, flush=True)

    def table(self, head, rows):
        cells = [[str(cell) for cell in row] for row in [head, *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(head))]

        def show(row):
            first, *rest = [(cell.ljust if i == 0 else cell.rjust)(widths[i]) for i, cell in enumerate(row)]
            return "| " + " | ".join([first, *rest]) + " |"

        self.line(show(cells[0]))
        self.line("|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|")
        for row in cells[1:]:
            self.line(show(row))
        self.line()


def machine(work, manager):
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    system = next((l.split("=")[1].strip().strip('"') for l in open("/etc/os-release") if l.startswith("PRETTY_NAME")), "Linux")
    memory = next(int(l.split()[1]) // 1024**2 for l in open("/proc/meminfo") if l.startswith("MemTotal"))
    disk = output(["stat", "-f", "-c", "%T", str(work)]).strip()

    def first_line(*command):
        try:
            return output(list(command), stderr=subprocess.DEVNULL, cwd=ROOT).splitlines()[0].strip()
        except (Failure, OSError, IndexError):
            return "unknown"

    versions = [first_line("gzip", "--version"), "g++ " + first_line("g++", "-dumpfullversion")]
    if manager:
        commit = first_line("git", "rev-parse", "--short", "HEAD")
        changed = "" if first_line("git", "status", "--porcelain") == "unknown" else " with changes"
        versions = [first_line("swift", "--version"), f"commit {commit}{changed}", *versions]
    return (
        f"{os.cpu_count()} cores of {model}, {memory} GiB; {system}, Linux {platform.release()}; work directory on {disk}; "
        + "; ".join(versions)
    )


def ratio(value, base):
    return f"{value / base:.2f}"


# ---------------------------------------------------------------------------------------------- replay


def generated(programs, folder, what, *arguments):
    """A generated journal, kept for the next time: (data directory, what the generator said)."""
    source = b"".join((HERE / name).read_bytes() for name in ("make_journal.cpp", "crc32c.hpp", "sha256.hpp"))
    stamp = hashlib.sha256(source + " ".join(arguments).encode()).hexdigest()
    said = folder / "made.json"
    if not said.exists() or json.loads(said.read_text())["stamp"] != stamp:
        print(f"Making a journal of {what} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        facts = json.loads(output([programs["make_journal"], folder, *arguments]))
        said.write_text(json.dumps({"stamp": stamp, **facts}))
    return folder, json.loads(said.read_text())


def journals(programs, work, events):
    """The two generated journals, by form."""
    return {
        form: generated(programs, work / f"journal-{form}", f"{events:,} events ({form})", str(events), "--form", form)
        for form in ("members", "plain")
    }


def check_status(text, facts):
    """The fold must have come to the generator's end."""
    status = json.loads(text)
    names = {"seq": "events", "total": "tasks", "pending": "pending", "assigned": "assigned", "complete": "complete", "failed": "failed"}
    for name, fact in names.items():
        if status.get(name) != facts[fact]:
            raise Failure(f"manager status: {name} is {status.get(name)}, the journal says {facts[fact]}")


def replay(report, programs, manager, work, events, runs):
    scratch = work / "scratch"
    scratch.mkdir(exist_ok=True)
    for form, (folder, facts) in journals(programs, work, events).items():
        sealed = sorted(glob.glob(str(folder / "journal" / "*.gz")))
        commands = {
            "gzip -dc journal/*.gz \\| wc -c": ["bash", "-c", 'gzip -dc "$@" | wc -c', "_", *sealed],
            "zlib inflates it, one core": [programs["inflate"], *sealed],
        }
        if manager:
            commands["manager status --json"] = [manager, "status", "--data-dir", folder, "--json"]
            commands["manager replay > /dev/null"] = [manager, "replay", "--data-dir", folder]
        for path in sealed:  # into the page cache
            Path(path).read_bytes()
        results = collections.defaultdict(list)
        for _ in range(runs):
            for name, command in commands.items():
                keep = name != "manager replay > /dev/null"
                seconds, cpu, peak, text = measured(command, scratch, keep)
                if name.startswith("gzip") and int(text) != facts["line_bytes"]:
                    raise Failure(f"gzip gave {text.strip()} bytes, expected {facts['line_bytes']}")
                if name == "manager status --json":
                    check_status(text, facts)
                results[name].append((seconds, cpu, peak))
        medians = {name: [statistics.median(column) for column in zip(*samples)] for name, samples in results.items()}
        base, floor = (medians[name][0] for name in list(commands)[:2])
        what = "many members a file, as the manager seals" if form == "members" else "one plain gzip member a file"
        report.line(
            f"### Replay: {facts['events']:,} events, {facts['tasks']:,} tasks, {facts['line_bytes'] / 1e6:.0f} MB of lines, "
            f"{facts['gz_bytes'] / 1e6:.0f} MB in {facts['sealed']} sealed segments, {what}"
        )
        report.line()
        rows = []
        for name, (seconds, cpu, peak) in medians.items():
            samples = [s for s, _, _ in results[name]]
            rows.append(
                [
                    f"`{name}`" if not name.startswith("zlib") else name,
                    f"{seconds:.3f}", f"{min(samples):.3f} – {max(samples):.3f}", f"{cpu:.2f}",
                    ratio(seconds, base), ratio(seconds, floor),
                    f"{facts['events'] / seconds / 1e6:.2f}", f"{facts['line_bytes'] / seconds / 1e6:.0f}",
                    f"{peak:.0f}" if name.startswith("manager") else "",
                ]
            )  # fmt: skip
        report.table(["", f"s (of {runs})", "range", "CPU s", "× gzip -dc", "× zlib", "M events/s", "MB/s", "peak MB"], rows)


# ---------------------------------------------------------------------------------------------- the past


def covered_journal(programs, manager, work, events, tasks):
    """A journal with the checkpoints that a manager writes for it: (data directory, what the generator said)."""
    folder, facts = generated(
        programs, work / f"past-{tasks}", f"{events:,} events over {tasks:,} tasks", str(events), "--tasks", str(tasks)
    )

    def covered():
        return any(int(path.stem) >= events - 1 for path in folder.glob("checkpoints/*.index"))

    if not covered():
        print("A manager writes rows and checkpoints of it ...", flush=True)
        http_port, port = free_ports(2)
        command = [manager, "serve", "--data-dir", folder, "--listen", f"127.0.0.1:{http_port}", "--worker-listen", f"127.0.0.1:{port}"]  # fmt: skip
        log = work / "past.log"
        with running(command, folder, log) as server:
            wait_until("the manager with its checkpoints", covered, server, log, seconds=900)
    return folder, facts


def past(report, programs, manager, work, events, task_counts, moments, runs):
    scratch = work / "scratch"
    scratch.mkdir(exist_ok=True)
    for tasks in task_counts:
        folder, facts = covered_journal(programs, manager, work, events, tasks)
        for path in sorted(folder.glob("journal/*.gz")) + sorted(folder.glob("checkpoints/*")):
            path.read_bytes()  # into the page cache
        with gzip.open(sorted(folder.glob("journal/*.gz"))[0]) as file:
            first = next(json.loads(line) for line in file if line.startswith(b'{"seq"'))
        last = json.loads(output([manager, "status", "--json", "--data-dir", folder, "--seq", str(events - 1)]))
        span = [datetime.datetime.fromisoformat(t["time"].replace("Z", "+00:00")) for t in (first, last)]
        chance = random.Random(tasks)
        times = [(span[0] + (span[1] - span[0]) * chance.random()).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for _ in range(moments)]
        names = [json.loads(line)["task_id"] for line in output([manager, "tasks", "--json", "--limit", "50", "--data-dir", folder, "--seq", "50"]).splitlines()]  # fmt: skip

        def seconds(*words):
            return measured([manager, *words, "--data-dir", folder], scratch, False)[0]

        full = statistics.median(seconds("replay") for _ in range(runs))
        checkpoints = sum(path.stat().st_size for path in folder.glob("checkpoints/*"))
        report.line(
            f"### The past: {facts['events']:,} events over {facts['tasks']:,} tasks, {facts['gz_bytes'] / 1e6:.0f} MB sealed, "
            f"{checkpoints / 1e6:.0f} MB of checkpoints, {moments} random moments"
        )
        report.line()
        rows = [["`manager replay`, every event", f"{full:.3f}", "", "1.00", ""]]
        asked = {
            "`replay --at`": lambda t: ("replay", "--at", t),
            "`status --at`": lambda t: ("status", "--at", t),
            "`show --at`": lambda t: ("show", chance.choice(names), "--at", t),
            "`history`": lambda _: ("history", chance.choice(names)),
        }
        for name, words in asked.items():
            if name == "`replay --at`" and tasks > 100_000:
                continue  # the state itself takes most of the time: 1 GB to print
            took = [seconds(*words(t)) for t in times]
            median = statistics.median(took)
            rows.append([name, f"{median:.3f}", f"{min(took):.3f} – {max(took):.3f}", f"{median / full:.3f}", f"1/{full / median:.0f}"])
        report.table(["", "s, median", "range", "× full replay", ""], rows)


# ---------------------------------------------------------------------------------------------- custody


def custody(report, programs, manager, work, events, tasks):
    folder, _ = covered_journal(programs, manager, work, events, tasks)
    copy, scratch = work / "custody", work / "scratch"
    scratch.mkdir(exist_ok=True)

    def size(*patterns):
        return sum(path.stat().st_size for pattern in patterns for path in folder.glob(pattern) if path.is_file())

    def fresh():
        """A copy of the directory without its checkpoints."""
        shutil.rmtree(copy, ignore_errors=True)
        begin = time.perf_counter()
        subprocess.run(["cp", "-r", folder, copy], check=True)
        seconds = time.perf_counter() - begin
        shutil.rmtree(copy / "checkpoints", ignore_errors=True)
        return seconds

    def seconds(*words):
        return measured([manager, *words, "--data-dir", copy], scratch, False)[0]

    def start():
        http_port, port = free_ports(2)
        command = [manager, "serve", "--data-dir", copy, "--listen", f"127.0.0.1:{http_port}", "--worker-listen", f"127.0.0.1:{port}"]  # fmt: skip
        begin = time.perf_counter()
        with running(command, copy, work / "custody.log") as server:
            wait_until("a start", lambda: is_ready(http_port), server, work / "custody.log", seconds=900)
            return time.perf_counter() - begin

    lines = events_below = 0
    rows = []
    marks = [events // 10, events // 4, events // 2, events]
    for path in sorted(folder.glob("journal/*.jsonl*")):
        if path.suffix == ".jsonl" and path.with_name(path.name + ".gz").exists():
            continue
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            lines += sum(len(chunk) for chunk in iter(lambda: file.read(1 << 20), b""))
        events_below = next(
            (int(other.name[:20]) - 1 for other in sorted(folder.glob("journal/*.jsonl*")) if other.name[:20] > path.name[:20]),
            events,
        )
        while marks and events_below >= marks[0]:
            sealed = sum(p.stat().st_size for p in folder.glob("journal/*.gz") if int(p.name[:20]) <= events_below)
            rows.append([f"{events_below:,}", f"{lines / 1e6:.0f}", f"{sealed / 1e6:.0f}", f"{sealed / events_below:.1f}"])
            marks.pop(0)
    report.line(f"### Custody: growth over {events:,} events of {tasks:,} tasks")
    report.line()
    report.table(["events", "MB of lines", "MB on the disk", "bytes an event"], rows)
    report.line(
        f"Beside it: {size('manager_state.json') / 1e6:.1f} MB of state file, {size('backups/*') / 1e6:.1f} MB in "
        f"{len(list(folder.glob('backups/*.json.gz')))} backups, {size('checkpoints/*') / 1e6:.1f} MB of checkpoints, "
        f"{size('*.csv', 'results_*/*.csv') / 1e6:.0f} MB of result files."
    )
    report.line()

    base = fresh()
    middle = str(events // 2)
    took = {"`cp -r` of the directory": base, "a start with the state file": start()}
    (copy / "manager_state.json").unlink()
    shutil.rmtree(copy / "backups", ignore_errors=True)
    took["a start from the journal alone"] = start()
    took["`verify`"] = seconds("verify")
    took["`export` of now"] = measured([manager, "export", scratch / "now", "--data-dir", copy], scratch, False)[0]
    took["`export` of the middle"] = measured(
        [manager, "export", scratch / "middle", "--seq", middle, "--data-dir", copy], scratch, False
    )[0]
    took["`restore --seq` of the middle"] = seconds("restore", "--seq", middle)
    fresh()
    time_of_middle = json.loads(output([manager, "status", "--json", "--data-dir", copy, "--seq", middle]))["time"]
    took["`compact --discard-before` the middle"] = seconds("compact", "--discard-before", time_of_middle)
    took["`verify` of what is left"] = seconds("verify")
    report.line(f"### Custody: what it takes, {events:,} events, no checkpoints, one run each")
    report.line()
    report.table(["", "s", "× cp -r"], [[name, f"{value:.2f}", ratio(value, base)] for name, value in took.items()])
    shutil.rmtree(copy)
    for name in ["now", "middle"]:
        shutil.rmtree(scratch / name, ignore_errors=True)


# ---------------------------------------------------------------------------------------------- durable steps


def journal_size(folder):
    """(events, bytes) of every segment, as lines."""
    events = size = 0
    for path in sorted(folder.glob("*.jsonl*")):
        if path.suffix == ".jsonl" and path.with_name(path.name + ".gz").exists():
            continue
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            for line in file:
                if line.startswith(b'{"seq"'):
                    events, size = events + 1, size + len(line)
    return events, size


def one_run(kind, programs, manager, work, connections, seconds, tag):
    """A fresh server, the client, the client's figures; what was acknowledged must stand in the journal."""
    folder = work / f"steps-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "journal").mkdir(parents=True)
    log = work / f"steps-{kind}.log"
    http_port, port = free_ports(2)
    if kind == "ideal":
        command = [programs["ideal_server"], str(port), folder / "journal" / f"{1:020}.jsonl"]
    else:
        (folder / "journal").rmdir()
        command = [manager, "serve", "--data-dir", folder, "--listen", f"127.0.0.1:{http_port}", "--worker-listen", f"127.0.0.1:{port}"]  # fmt: skip
    with running(command, folder, log) as server:
        wait_until(kind, lambda: listens(port) if kind == "ideal" else is_ready(http_port), server, log)
        cpu, begin = cpu_seconds(server.pid), time.monotonic()
        client = [programs["step_client"], str(port), str(connections), str(seconds), tag]
        figures = json.loads(output(client, timeout=seconds + 90))
        figures["server_cpu"] = (cpu_seconds(server.pid) - cpu) / (time.monotonic() - begin)
    events, size = journal_size(folder / "journal")
    if events < figures["acknowledged"]:
        raise Failure(f"{kind}: {figures['acknowledged']} steps were acknowledged, the journal holds {events} events")
    figures["bytes_per_event"] = size / events
    shutil.rmtree(folder)
    return figures


def median_of(runs, *keys):
    def value(figures):
        for key in keys:
            figures = figures[key]
        return figures

    return statistics.median(value(figures) for figures in runs)


def steps(report, programs, manager, work, runs, seconds, connection_counts):
    """Returns the runs by (kind, connections)."""
    results = collections.defaultdict(list)
    kinds = ["ideal", "manager"] if manager else ["ideal"]
    for connections in connection_counts:
        for turn in range(runs):
            for kind in kinds if turn % 2 == 0 else kinds[::-1]:
                results[kind, connections].append(one_run(kind, programs, manager, work, connections, seconds, f"r{turn}"))
    report.line(f"### Durable steps (add, claim, complete: one event each), {seconds:g} s a run, medians of {runs} runs")
    report.line()
    rows = []
    for connections in connection_counts:
        for kind in kinds:
            got = results[kind, connections]
            rate = median_of(got, "steps_per_s")
            rows.append(
                [
                    f"{connections} connection{'s' if connections > 1 else ''}, {kind}", f"{rate:,.0f}",
                    ratio(rate, median_of(results["ideal", connections], "steps_per_s")),
                    *(f"{median_of(got, step, 'p50_us'):.0f} / {median_of(got, step, 'p99_us'):.0f}" for step in ("add", "claim", "complete")),
                    f"{median_of(got, 'bytes_per_event'):.0f}",
                    f"{median_of(got, 'server_cpu'):.2f}", f"{median_of(got, 'client_cpu'):.2f}",
                ]
            )  # fmt: skip
    report.table(
        ["", "steps/s", "× ideal", "add µs p50 / p99", "claim", "complete", "journal B/event", "server cores", "client cores"], rows
    )
    return results


# ---------------------------------------------------------------------------------------------- one step


def sync(report, programs, manager, work, runs, seconds):
    """One step at one connection between two measurements of the disk, in turn."""
    kinds = ["ideal", "manager"] if manager else ["ideal"]
    results, disk = collections.defaultdict(list), collections.defaultdict(list)
    size = 250
    for turn in range(runs):
        for kind in kinds:
            results[kind].append(one_run(kind, programs, manager, work, 1, seconds, f"s{turn}"))
        size = round(results[kinds[-1]][-1]["bytes_per_event"])
        for mode in ("reserved", "growing"):
            command = [programs["sync_append"], work / "sync_append.tmp", str(size), str(min(seconds, 2)), mode]
            disk[mode].append(json.loads(output(command)))
    base = median_of(disk["reserved"], "p50_us")
    ideal = median_of(results["ideal"], "all", "p50_us")
    report.line(f"### One step at 1 connection against one write + fdatasync of {size} bytes, medians of {runs} runs")
    report.line()
    rows = []
    for mode, got in disk.items():
        p50 = median_of(got, "p50_us")
        rows.append([f"fdatasync, {mode} file", f"{p50:.0f}", f"{median_of(got, 'p99_us'):.0f}", ratio(p50, base), ""])
    for kind in kinds:
        p50, p99 = (median_of(results[kind], "all", q) for q in ("p50_us", "p99_us"))
        rows.append([f"a step, {kind}", f"{p50:.0f}", f"{p99:.0f}", ratio(p50, base), ratio(p50, ideal)])
    report.table(["", "p50 µs", "p99 µs", "× fdatasync", "× ideal"], rows)


# ---------------------------------------------------------------------------------------------- over HTTP


def empty_answers(program, programs, work, connections, seconds):
    """The client's figures of a server's empty answer."""
    (port,) = free_ports(1)
    log = work / "http-empty.log"
    with running([program, str(port)], work, log) as server:
        wait_until("the server of empty answers", lambda: listens(port), server, log)
        return client_run(programs, server, ["empty", str(port), str(connections), str(seconds)], seconds)


def client_run(programs, server, words, seconds):
    cpu, begin = cpu_seconds(server.pid), time.monotonic()
    figures = json.loads(output([programs["http_client"], *words], timeout=seconds + 90))
    figures["server_cpu"] = (cpu_seconds(server.pid) - cpu) / (time.monotonic() - begin)
    return figures


def add_tasks(port, count):
    """Tasks in requests of 5,000."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    config = {"dataset": "cifar10", "model_type": "cnn", "width_factor": 16, "depth": 4, "poison_ratio": 0.2, "alpha": 100.0,
              "batch_size": 128, "lr": 0.01, "global_rounds": 50, "seed": 42}  # fmt: skip
    for first in range(0, count, 5000):
        tasks = [
            {"task_id": f"exp1_vary_width_{i}_42", "phase": "exp1_vary_width", "config": config, "output_dirs": ["results_exp1_cifar10"]}
            for i in range(first, min(count, first + 5000))
        ]
        connection.request("POST", "/api/v1/tasks", json.dumps(tasks), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise Failure(f"POST /api/v1/tasks: {answer.status} {said[:500]!r}")
    connection.close()


def worked_answers(manager, programs, work, connections, seconds):
    """The client's figures of claims and completions; what was acknowledged must stand in the journal."""
    folder = work / "http-work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = work / "http-work.log"
    port, workers = free_ports(2)
    command = [manager, "serve", "--data-dir", folder, "--listen", f"127.0.0.1:{port}", "--worker-listen", f"127.0.0.1:{workers}"]
    tasks = int((seconds + 1) * 25000)
    with running(command, folder, log) as server:
        wait_until("the manager", lambda: is_ready(port), server, log)
        add_tasks(port, tasks)
        figures = client_run(programs, server, ["work", str(port), str(connections), str(seconds)], seconds)
    events, _ = journal_size(folder / "journal")
    if events < tasks + figures["acknowledged"]:
        raise Failure(f"{figures['acknowledged']} answers and {tasks} added tasks, but the journal holds {events} events")
    shutil.rmtree(folder)
    return figures


def over_http(report, programs, manager, yardstick, work, runs, seconds, connections=64):
    """Claims and completions against an HTTP server that does nothing, in turn, with the same client."""
    results = collections.defaultdict(list)
    for _ in range(runs):
        results["hummingbird's empty answer"].append(empty_answers(yardstick, programs, work, connections, seconds))
        results["claims + completions"].append(worked_answers(manager, programs, work, connections, seconds))
    report.line(f"### Over HTTP at {connections} connections that stay open, {seconds:g} s a run, medians of {runs} runs")
    report.line()
    base = median_of(results["hummingbird's empty answer"], "steps_per_s")
    rows = []
    for kind, got in results.items():
        rate = median_of(got, "steps_per_s")
        rows.append(
            [
                kind, f"{rate:,.0f}", f"{min(f['steps_per_s'] for f in got):,.0f} – {max(f['steps_per_s'] for f in got):,.0f}", ratio(rate, base),
                f"{median_of(got, 'all', 'p50_us'):.0f} / {median_of(got, 'all', 'p99_us'):.0f}",
                f"{median_of(got, 'server_cpu'):.2f}", f"{median_of(got, 'client_cpu'):.2f}",
            ]
        )  # fmt: skip
    report.table(["", "answers/s", "range", "× empty", "µs p50 / p99", "server cores", "client cores"], rows)


# ---------------------------------------------------------------------------------------------- the whole


def arguments():
    parser = argparse.ArgumentParser(description="Benchmarks of the manager; the file's head says more.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, by commas ({','.join(PARTS)})")
    parser.add_argument("--events", type=int, default=2000000, help="events of the replayed journal (2000000)")
    parser.add_argument("--past-events", type=int, default=10000000, help="events of the journals of `past` (10000000)")
    parser.add_argument("--past-tasks", default="20000,2000000", help="their numbers of tasks, by commas (20000,2000000)")
    parser.add_argument("--moments", type=int, default=100, help="random moments of `past` (100)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each replay (5)")
    parser.add_argument("--step-runs", type=int, default=3, help="runs of each step measurement (3)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one run of steps (3)")
    parser.add_argument("--connections", default="1,16,64", help="connection counts, by commas (1,16,64)")
    parser.add_argument("--work-dir", type=Path, default=ROOT / ".build" / "bench", help="on the disk to measure (.build/bench)")
    parser.add_argument("--skip-build", action="store_true", help="use the release build that stands")
    parser.add_argument("--manager", type=Path, help="measure this binary, build none")
    parser.add_argument("--yardstick", type=Path, help="with --manager: the release build of http-yardstick to compare `http` with")
    parser.add_argument("--no-manager", action="store_true", help="the references alone")
    parser.add_argument("--record", action="store_true", help="append the result to Benchmarks/RESULTS.md")
    given = parser.parse_args()
    given.only = given.only.split(",")
    if unknown := set(given.only) - set(PARTS):
        parser.error(f"--only: no part is called {', '.join(sorted(unknown))}")
    given.connections = [int(n) for n in given.connections.split(",")]
    return given


def main():
    given = arguments()
    work = given.work_dir.resolve()
    work.mkdir(parents=True, exist_ok=True)
    programs = build_programs(work)
    manager = None if given.no_manager else given.manager.resolve() if given.manager else build("manager", given.skip_build)
    report = Report()
    report.line(f"## {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC")
    report.line()
    report.line(machine(work, manager))
    report.line()
    if "replay" in given.only:
        replay(report, programs, manager, work, given.events, given.runs)
    if "past" in given.only and manager:
        counts = [int(n) for n in given.past_tasks.split(",")]
        past(report, programs, manager, work, given.past_events, counts, given.moments, min(given.runs, 3))
    if "custody" in given.only and manager:
        custody(report, programs, manager, work, given.past_events, int(given.past_tasks.split(",")[0]))
    if "steps" in given.only:
        steps(report, programs, manager, work, given.step_runs, given.seconds, given.connections)
    if "sync" in given.only:
        sync(report, programs, manager, work, given.step_runs, given.seconds)
    if "http" in given.only and manager:
        yardstick = given.yardstick.resolve() if given.yardstick else build("http-yardstick", given.skip_build)
        over_http(report, programs, manager, yardstick, work, given.step_runs, given.seconds)
    if given.record:
        results = HERE / "RESULTS.md"
        with open(results, "a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(report.lines).rstrip() + "\n")
        print(f"Appended to {results.relative_to(ROOT)}")


def interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Both end the blocks that started servers, and so the servers.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        main()
    except (Failure, subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
