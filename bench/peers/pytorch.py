#!/usr/bin/env python3
"""The cases of wengert-bench in PyTorch, side by side.

    python3 -m venv torch && torch/bin/pip install torch
    torch/bin/python bench/peers/pytorch.py [--device cpu|cuda] [--bench build/wengert-bench] [--rounds 3] [--filter TEXT]
    torch/bin/python bench/peers/pytorch.py --plan      kernels, bytes and memory instead: see plan.py

Each case alternates between the two (Wengert, PyTorch, Wengert, ...) for some rounds, so that a ratio is one of the same
minute. PyTorch runs eagerly, one thread a core, without TF32, and writes to preallocated outputs where it can.
A ratio above 1 means that Wengert is faster.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

import plan
import torch
import torch.nn.functional as F
from models import MODELS, uniform

LARGE, ROWS, COLUMNS, SQUARE = 32 << 20, 4096, 1024, 4096
VOCABULARY, WIDTH, TOKENS = 10000, 256, 4096
SECONDS = 0.5  # of PyTorch, each round


def chain6():
    x, out = uniform(LARGE), torch.empty(LARGE)

    def run():
        torch.mul(x, 0.9, out=out)
        out.add_(0.1).relu_().square_().sub_(0.2).mul_(1.1)

    return run


def reduce_sum_all():
    x, out = uniform(LARGE), torch.empty(())
    return lambda: torch.sum(x, dim=0, out=out)


def reduce_rows():
    x, out = uniform(SQUARE, SQUARE), torch.empty(SQUARE)
    return lambda: torch.sum(x, dim=1, out=out)


def reduce_cols():
    x, out = uniform(SQUARE, SQUARE), torch.empty(SQUARE)
    return lambda: torch.sum(x, dim=0, out=out)


def softmax():
    x, out = uniform(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS)
    return lambda: torch.ops.aten._softmax.out(x, 1, False, out=out)


def log_softmax():
    x, out = uniform(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS)
    return lambda: torch.ops.aten._log_softmax.out(x, 1, False, out=out)


def layer_norm():
    x, out = uniform(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS)
    gain, bias, mean, scale = uniform(COLUMNS), uniform(COLUMNS), torch.empty(ROWS, 1), torch.empty(ROWS, 1)
    into = {"out0": out, "out1": mean, "out2": scale}
    return lambda: torch.ops.aten.native_layer_norm.out(x, [COLUMNS], gain, bias, 1e-5, **into)


def dropout():
    x, mask, out = uniform(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS), torch.empty(ROWS, COLUMNS)

    def run():
        mask.bernoulli_(0.5).mul_(2)
        torch.mul(x, mask, out=out)

    return run


def matmul(n):
    def make():
        a, b, out = uniform(n, n), uniform(n, n), torch.empty(n, n)
        return lambda: torch.matmul(a, b, out=out)

    return make


def tutorial_step():
    w = torch.tensor([1.0], requires_grad=True)

    def run():
        loss = (2.0 * w - 4.0) ** 2
        loss.backward()
        w.grad.item()
        w.data = w.data - 0.01 * w.grad
        w.grad = None

    return run


def embedding():
    weight = uniform(VOCABULARY, WIDTH).requires_grad_()
    index = torch.arange(TOKENS) * 2654435761 % VOCABULARY
    upstream = uniform(TOKENS, WIDTH)

    def run():
        (F.embedding(index, weight) * upstream).sum().backward()
        weight.grad = None

    return run


CASES = {
    "chain6": chain6,
    "reduce_sum_all": reduce_sum_all,
    "reduce_rows": reduce_rows,
    "reduce_cols": reduce_cols,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "layer_norm": layer_norm,
    "dropout": dropout,
    "matmul_512": matmul(512),
    "matmul_1024": matmul(1024),
    "matmul_2048": matmul(2048),
    "tutorial_step": tutorial_step,
    "mlp_step_sgd": lambda: MODELS["mlp_sgd"](fused=True),
    "mlp_step_adam": lambda: MODELS["mlp_adam"](fused=True),
    "embedding": embedding,
}


def time_torch(run, device):
    """Seconds of each run, after some that do not count."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(5):
        run()
    wait()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)


def time_wengert(bench, device, case):
    """The case's row of wengert-bench --json."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.json")
        command = [bench, "--quick", "--filter", "=" + case, "--json", path] + (["--device", device] if device else [])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        except OSError:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return result["device"], result["cases"][0]


def duration(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def compare(case, arguments):
    """One line of the table, and the ratio of the shortest times."""
    run = CASES[case]()
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        time.sleep(0.05)  # PyTorch's threads spin for a while
        name, row = time_wengert(arguments.bench, arguments.wengert_device, case)
        if row["failed"]:
            print(f"{case:16} failed: {row['note']}", flush=True)
            return name, None
        ours.append((row["min_s"], row["median_s"]))
        theirs.append(time_torch(run, arguments.device))
    best = [min(t[0] for t in side) for side in (ours, theirs)]
    middle = [statistics.median(t[1] for t in side) for side in (ours, theirs)]
    ratio = best[1] / best[0]
    print(
        f"{case:16} {duration(best[0]):>10} {duration(best[1]):>10} {ratio:7.2f}  "
        f"{duration(middle[0]):>10} {duration(middle[1]):>10} {middle[1] / middle[0]:7.2f}",
        flush=True,
    )
    return name, ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="PyTorch's device")
    parser.add_argument("--wengert-device", help="as wengert-bench --device takes it; by default opencl:cpu, or its best")
    parser.add_argument("--bench", default=os.path.join(root, "build", "wengert-bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    parser.add_argument("--plan", action="store_true", help="compare whole training steps as plans, not times of cases")
    parser.add_argument("--names", action="store_true", help="with --plan, name the operators that were counted")
    arguments = parser.parse_args()
    if not arguments.wengert_device and arguments.device == "cpu":
        arguments.wengert_device = "opencl:cpu"

    torch.set_num_threads(os.cpu_count())
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_default_device(arguments.device)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(f"PyTorch {torch.__version__} on {where}" + ("" if arguments.plan else f"; {arguments.rounds} rounds"))
    if os.getloadavg()[0] > 0.5 * os.cpu_count():
        print(f"load average {os.getloadavg()[0]:.1f}: something else runs here, trust the shortest times alone")
    if arguments.plan:
        return plan.main(arguments, time_torch)
    print(f"{'case':16} {'shortest':>21} {'ratio':>7}  {'median':>21} {'ratio':>7}")
    print(f"{'':16} {'wengert':>10} {'pytorch':>10} {'':7}  {'wengert':>10} {'pytorch':>10}")
    name, ratios = None, []
    for case in CASES:
        if arguments.filter in case:
            name, ratio = compare(case, arguments)
            ratios.append(ratio)
    if not name:
        sys.exit("no case matches")
    done = [r for r in ratios if r]
    if done:
        print(f"geometric mean of the ratios: {math.exp(sum(map(math.log, done)) / len(done)):.2f}")
    print(f"Wengert on {name}")
    return 0 if len(done) == len(ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
