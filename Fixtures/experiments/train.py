#!/usr/bin/env python3
"""Trains a small classifier on poisoned labels and reports how well it does on clean ones.

The question: how much does label flipping hurt? A network with one hidden layer (tanh units, a
logistic output) is trained by stochastic gradient descent, one row at a time, on the Wisconsin
breast-cancer table, after a part of the training labels has been turned round. The test rows keep
their true labels.

Usage:  train.py --seed 42 --width 8 --lr 0.03 --poison-ratio 0.2 [--epochs 35] [--data FILE]

Python 3 and its standard library, nothing else. Equal arguments give equal results. The result is
one JSON object: written to the file that MANAGER_RESULT_FILE names, whole or not at all, and
printed as the last line.
"""

import argparse
import csv
import json
import math
import os
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "breast_cancer_wisconsin.csv"
TEST_SHARE = 0.25


def parse_arguments():
    parser = argparse.ArgumentParser(description="Train a small network on flipped labels.")
    parser.add_argument("--seed", type=int, required=True, help="split, flips, first weights and order follow from it")
    parser.add_argument("--width", type=int, required=True, help="units in the hidden layer")
    parser.add_argument("--lr", type=float, required=True, help="learning rate of the first epoch")
    parser.add_argument("--poison-ratio", type=float, required=True, help="share of training labels to flip, 0 to 1")
    parser.add_argument("--epochs", type=int, default=35, help="passes over the training rows (35)")
    parser.add_argument("--data", type=Path, default=DATA, help="the table")
    arguments = parser.parse_args()
    if arguments.width < 1:
        parser.error("--width: at least one unit")
    if not 0 <= arguments.poison_ratio <= 1:
        parser.error("--poison-ratio: a share from 0 to 1")
    if not 0 < arguments.lr < math.inf:
        parser.error("--lr: a positive number")
    if arguments.epochs < 1:
        parser.error("--epochs: at least one")
    return arguments


def load(path):
    """The table as (features, label) pairs; label 1 is malignant."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return [([float(value) for value in row[:-1]], 1 if row[-1] == "M" else 0) for row in rows]


def split(table, rng):
    """Shuffled, then cut: (training rows, test rows)."""
    table = table[:]
    rng.shuffle(table)
    cut = round(len(table) * TEST_SHARE)
    return table[cut:], table[:cut]


def standardise(train, test):
    """Every feature to mean 0 and deviation 1, measured on the training rows alone; a constant 1 is the bias."""
    columns = list(zip(*(features for features, _ in train)))
    means = [math.fsum(column) / len(column) for column in columns]
    scales = [
        math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(column)) or 1.0
        for column, mean in zip(columns, means)
    ]

    def apply(rows):
        return [
            ([(value - mean) / scale for value, mean, scale in zip(features, means, scales)] + [1.0], label)
            for features, label in rows
        ]

    return apply(train), apply(test)


def poison(rows, ratio, rng):
    """Turns round the labels of a share of the rows, chosen by chance: (rows, how many were turned)."""
    flipped = set(rng.sample(range(len(rows)), round(len(rows) * ratio)))
    return [(features, 1 - label if i in flipped else label) for i, (features, label) in enumerate(rows)], len(flipped)


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


class Network:
    """features -> `width` tanh units -> one logistic unit."""

    def __init__(self, inputs, width, rng):
        self.hidden = [[rng.gauss(0, 1 / math.sqrt(inputs)) for _ in range(inputs)] for _ in range(width)]
        self.output = [rng.gauss(0, 1 / math.sqrt(width)) for _ in range(width)]
        self.bias = 0.0

    def forward(self, features):
        """The units' activations and the probability of label 1."""
        units = [math.tanh(sum(map(mul, weights, features))) for weights in self.hidden]
        return units, sigmoid(sum(map(mul, self.output, units)) + self.bias)

    def learn(self, features, label, rate):
        """One step down the gradient of the cross entropy of one row."""
        units, probability = self.forward(features)
        step = rate * (probability - label)
        for j, unit in enumerate(units):
            unit_step = step * self.output[j] * (1 - unit * unit)
            self.output[j] -= step * unit
            self.hidden[j] = [weight - unit_step * value for weight, value in zip(self.hidden[j], features)]
        self.bias -= step

    def evaluate(self, rows):
        """(accuracy, mean cross entropy) on rows."""
        right, losses = 0, []
        for features, label in rows:
            _, probability = self.forward(features)
            right += (probability >= 0.5) == (label == 1)
            losses.append(-math.log(max(probability if label == 1 else 1 - probability, 1e-12)))
        return right / len(rows), math.fsum(losses) / len(losses)


def train(network, rows, epochs, rate, rng):
    """Stochastic gradient descent; the rate falls to a tenth of its start, linearly."""
    order = list(rows)
    for epoch in range(epochs):
        rng.shuffle(order)
        now = rate * (1 - 0.9 * epoch / max(epochs - 1, 1))
        for features, label in order:
            network.learn(features, label, now)
        if epoch % 5 == 4 or epoch == epochs - 1:
            accuracy, loss = network.evaluate(rows)
            print(f"epoch {epoch + 1}/{epochs}: training loss {loss:.4f}, accuracy {accuracy:.4f}", flush=True)


def write_whole(path, text):
    """A reader finds the old file or the whole new one, never a part."""
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def main():
    arguments = parse_arguments()

    def stream(purpose):
        # A stream of its own for each purpose: the ratio must not change the split or the first weights.
        return random.Random(f"{arguments.seed}/{purpose}")

    training, test = split(load(arguments.data), stream("split"))
    training, test = standardise(training, test)
    training, flipped = poison(training, arguments.poison_ratio, stream("flip"))
    print(f"{len(training)} training rows, {flipped} labels flipped, {len(test)} test rows", flush=True)

    network = Network(len(training[0][0]), arguments.width, stream("weights"))
    train(network, training, arguments.epochs, arguments.lr, stream("order"))

    test_accuracy, test_loss = network.evaluate(test)
    train_accuracy, _ = network.evaluate(training)
    result = json.dumps(
        {
            "test_accuracy": round(test_accuracy, 6),
            "test_loss": round(test_loss, 6),
            "train_accuracy": round(train_accuracy, 6),
            "flipped": flipped,
        }
    )
    path = os.environ.get("MANAGER_RESULT_FILE")
    if path:
        write_whole(path, result + "\n")
    print(result)


if __name__ == "__main__":
    main()
