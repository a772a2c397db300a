#!/usr/bin/env python3
"""The driver of an external chip, with cells that are simulated here, ideal or with errors.

    crosstate simulate MODEL --data MNIST --chips 1 \\
        --set external.command="python3 examples/simulated_chip.py --error 0.02"

docs/external-chip.md describes the protocol. To control real hardware,
replace the three methods of Chip.
"""

import argparse
import os
import random
import signal
import sys
import time


class Chip:
    """Arrays of cells that keep their programmed conductances."""

    def __init__(self, arrays, rows, bit_lines, options):
        self.rows, self.bit_lines = rows, bit_lines
        self.options = options
        self.cells = [None] * arrays  # each: rows of siemens

    def program(self, array, conductances):
        """conductances: for each row a list of bit_lines values in siemens."""
        draw = random.Random(f"{self.options.seed} {array}")
        error = self.options.error
        self.cells[array] = [
            [max(0.0, g * (1 + error * draw.gauss(0, 1))) for g in row] if error > 0 else row
            for row in conductances
        ]

    def age(self, seconds):
        """These cells do not drift."""

    def multiply(self, array, first, count, voltages):
        """Returns the currents (A) of `count` bit lines starting at `first`, per voltage vector."""
        cells = self.cells[array]
        if cells is None:
            raise ValueError(f"array {array} is not programmed")
        noise = self.options.noise
        # Noise addressed by the read, so that results are reproducible.
        address = f"{self.options.seed} {array} {first} {voltages}"
        draw = random.Random(address) if noise > 0 else None
        for volts in voltages:
            currents = [0.0] * count
            for v, row in zip(volts, cells):
                if v != 0:
                    for j in range(count):
                        currents[j] += v * row[first + j]
            if draw is not None:
                currents = [i * (1 + noise * draw.gauss(0, 1)) for i in currents]
            yield currents


def numbers(line, count):
    found = [float(word) for word in line.split()]
    if len(found) != count:
        raise ValueError(f"{len(found)} numbers in a line, expected {count}")
    return found


NONSENSE = {
    "text": "what?\n",
    "count": "ok\n" + "0\n" * 10000,
    "nan": "ok\n" + "nan\n" * 10000,
}


class Session:
    """One conversation on standard input and output."""

    def __init__(self, options):
        self.options = options
        self.chip = None
        self.products = 0

    def line(self):
        text = sys.stdin.readline()
        if not text:
            sys.exit(0)  # the other side is gone
        return text

    def lines(self, rows, count):
        return [numbers(self.line(), count) for _ in range(rows)]

    def answer(self, request):
        """Returns the complete reply to a request, given the words of its first line."""
        name, arguments = request[0], request[1:]
        if name == "hello":
            version, arrays, rows, bit_lines = map(int, arguments)
            if version != 1:
                raise ValueError(f"version {version} of the protocol, expected 1")
            self.chip = Chip(arrays, rows, bit_lines, self.options)
            return "ok 1\n"
        if name == "quit":
            return "ok\n"
        if self.chip is None:
            raise ValueError(f"{name} before hello")
        if name == "program":
            self.chip.program(int(arguments[0]), self.lines(self.chip.rows, self.chip.bit_lines))
            return "ok\n"
        if name == "age":
            self.chip.age(float(arguments[0]))
            return "ok\n"
        if name == "multiply":
            array, first, count, vectors = map(int, arguments)
            voltages = self.lines(vectors, self.chip.rows)
            self.fail_as_asked()
            if self.products == self.options.nonsense:
                return NONSENSE[self.options.kind]
            currents = self.chip.multiply(array, first, count, voltages)
            return "ok\n" + "".join(" ".join(map(repr, i)) + "\n" for i in currents)
        raise ValueError(f"unknown request {name}")

    def fail_as_asked(self):
        self.products += 1
        if self.products == self.options.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.options.slow > 0:
            time.sleep(self.options.slow)

    def run(self):
        while True:
            request = self.line().split()
            try:
                reply = self.answer(request)
            except (ValueError, IndexError) as error:
                reply = "error " + str(error).replace("\n", " ") + "\n"
            sys.stdout.write(reply)
            sys.stdout.flush()
            if request == ["quit"] or reply.startswith("error"):
                return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--error", type=float, default=0, metavar="SIGMA",
                        help="programming error of a cell, relative to its conductance")
    parser.add_argument("--noise", type=float, default=0, metavar="SIGMA",
                        help="noise of a current, relative to it")
    parser.add_argument("--seed", type=int, default=1)
    faults = parser.add_argument_group("faults, for tests")
    faults.add_argument("--die-after", type=int, default=0, metavar="N",
                        help="kill the driver at the Nth product")
    faults.add_argument("--slow", type=float, default=0, metavar="SECONDS",
                        help="delay of the reply to a product")
    faults.add_argument("--nonsense", type=int, default=0, metavar="N",
                        help="reply to the Nth product with nonsense")
    faults.add_argument("--kind", choices=sorted(NONSENSE), default="text", help="kind of nonsense")
    try:
        Session(parser.parse_args()).run()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)


if __name__ == "__main__":
    main()
