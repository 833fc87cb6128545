#!/usr/bin/env python3
"""Writes manager_state.json as the Python manager kept it: 240 tasks, local times without a zone.

The same bytes every time. Run it in this directory after a change.
"""

import json
from datetime import datetime, timedelta

SEEDS = (42, 101, 202, 303)
DATASETS = ("mnist", "cifar10", "fashion")
WIDTHS = (1, 2, 4, 8, 16)
RATIOS = (0.0, 0.1, 0.2, 0.4)
START = datetime(2025, 12, 19, 14, 0, 0)


def task(number, seed, dataset, width, ratio):
    """One task; its place in the sweep decides how far it got."""
    phase = "exp1_vary_width" if number < 180 else "exp2_vary_ratio"
    entry = {
        "task_id": f"{phase}_{number}_{seed}",
        "phase": phase,
        "config": {
            "local_epochs": 2,
            "poison_type": "label_flip",
            "seed": seed,
            "dataset": dataset,
            "width_factor": width,
            "poison_ratio": ratio,
            "note": "größer" if width == 16 else "",
        },
        "seed": seed,
        "output_dir": f"results_{phase[:4]}_{dataset}",
        "status": "pending",
        "assigned_to": None,
        "assigned_at": None,
        "retry_count": 0,
        "last_error": None,
    }
    if number % 3 == 0:
        entry["output_dirs"] = [entry["output_dir"], "results_all"]
    moment = START + timedelta(minutes=7 * number)
    if number % 2:
        moment = moment.replace(microsecond=123456)
    if number < 48:
        entry.update(status="complete", assigned_to=f"gpu{number % 4}", assigned_at=moment.isoformat())
        if number % 10 == 9:
            # Found complete in a result file: nobody held it.
            entry.update(assigned_to=None, assigned_at=None)
        if number % 10 == 7:
            entry.update(retry_count=1)
    elif number < 52:
        entry.update(status="assigned", assigned_to=f"gpu{number - 48}", assigned_at=moment.isoformat())
        if number == 50:
            entry.update(retry_count=2, last_error="CUDA out of memory\nRuntimeError: 2 GiB \"asked\" for")
    elif number < 60:
        entry.update(status="failed", retry_count=4, last_error=f"exit status {number}")
        if number % 2:
            entry.update(assigned_to="gpu1", assigned_at=moment.isoformat())
    elif number < 70:
        entry.update(retry_count=1 + number % 3, last_error="worker lost" if number % 2 else None)
    return entry


def main():
    tasks = {}
    number = 0
    for seed in SEEDS:
        for dataset in DATASETS:
            for width in WIDTHS:
                for ratio in RATIOS:
                    entry = task(number, seed, dataset, width, ratio)
                    tasks[entry["task_id"]] = entry
                    number += 1
    assigned = {key: value for key, value in tasks.items() if value["status"] == "assigned"}
    with open("manager_state.json", "w", encoding="utf-8") as file:
        json.dump({"tasks": tasks, "assigned_tasks": assigned}, file, indent=2)


if __name__ == "__main__":
    main()
