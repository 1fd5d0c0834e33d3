"""`wengert-bench plan` beside PyTorch: kernels, bytes, memory and host time of whole training steps.

How PyTorch, run eagerly, is counted, on the same networks:

kernels  torch.profiler's operators of one step. An operator counts once, with the fills and copies that it makes inside,
         unless it calls other operators that count: then those do. Views, allocations and bookkeeping do not count.
bytes    of the tensors that go into and come out of each operator PyTorch dispatches, views and allocations apart; each
         tensor once an operator, and no more of it than its storage holds.
peak     bytes that exist before the step (parameters, optimiser state, inputs) and the most that the profiler sees
         allocated on top of them: `temporary`.
host     a step of the same network shrunk until there is next to nothing to compute: Python, dispatch and autograd.
step     a step, the loss read.

The optimiser is PyTorch's default for the device. `fused` is the number of kernels with fused=True instead, which updates
all parameters in one operator.
"""

import gc
import json
import math
import os
import subprocess
import sys
import tempfile

import torch
from models import MODELS
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TINY = 32  # by how much a network is shrunk for the host time
VIEWS = set(
    """alias as_strided broadcast_tensors chunk detach detach_ expand expand_as flatten item lift_fresh movedim narrow
    numpy_T permute reshape _reshape_alias resolve_conj resolve_neg result_type select set_ slice split split_with_sizes
    squeeze squeeze_ t transpose transpose_ unbind unflatten unsafe_chunk unsafe_split unsqueeze unsqueeze_ view view_as
    _unsafe_view empty empty_like empty_strided new_empty new_empty_strided resize_ is_nonzero _local_scalar_dense
    is_same_size _has_compatible_shallow_copy_type""".split()
)
INSIDE = {"copy_", "fill_", "zero_", "to"}  # belong to the operator that calls them
TARGETS = {"kernels": 1 / 3, "bytes": 1 / 2, "peak_bytes": 1 / 2}  # of PyTorch's
KERNELS = {"mlp_sgd": 13}  # at most, whatever PyTorch takes


def operators(event):
    """Names of the operators that count in an event and what it calls."""
    name = event.name.removeprefix("aten::").replace("_to_copy", "to")
    below = [found for child in event.cpu_children for found in operators(child)]
    if not event.name.startswith("aten::") or name in VIEWS:
        return below
    called = [found for found in below if found not in INSIDE]
    return called or ([] if name == "to" and not below else [name])


class Bytes(TorchDispatchMode):
    """Adds up the bytes of what operators read and write."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.__name__.split(".")[0] not in VIEWS:
            tensors = {id(t): t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)}
            self.total += sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in tensors.values())
            # What is updated in place is read and written.
            written = {id(t) for t in tree_leaves(result) if isinstance(t, torch.Tensor)}
            read = {id(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
            self.total += sum(tensors[i].nbytes for i in written & read)
        return result


def bytes_that_exist():
    """Of all tensors' storages."""
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor):
            storages[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
    return sum(storages.values())


def most_allocated(events):
    """The highest sum of allocations and frees, in order."""
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def profiled(step, device):
    """A profile of one step, not the first."""
    for _ in range(3):
        step()
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=activities, profile_memory=True) as result:
        step()
    names = [name for e in result.events() if e.cpu_parent is None for name in operators(e)]
    return names, most_allocated(result.profiler.kineto_results.events())


def count(name, device, time_torch):
    """The row of a network: as in wengert-bench's JSON."""
    before = bytes_that_exist()
    step = MODELS[name]()
    step()
    exist = bytes_that_exist() - before
    names, allocated = profiled(step, device)
    with Bytes() as moved:
        step()
    row = {"kernels": len(names), "bytes": moved.total, "names": names}
    row |= {"peak_bytes": exist + allocated, "temporary_bytes": allocated, "step_s": time_torch(step, device)[0]}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    row["host_s"] = time_torch(MODELS[name](scale=TINY), device)[0]
    torch.set_num_threads(threads)
    row["fused"] = len(profiled(MODELS[name](fused=True), device)[0])
    return row


def wengert_row(arguments, case):
    """The device and the case's row of wengert-bench plan --json."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plan.json")
        command = [arguments.bench, "plan", "--filter", "=" + case, "--json", path]
        command += ["--device", arguments.wengert_device] if arguments.wengert_device else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        except OSError:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    row = result["plan"][0]
    if row["failed"]:
        sys.exit(f"{case} failed: {row['note']}")
    return result["device"], row


def quantity(key, value):
    if key.endswith("bytes"):
        return f"{value / 1e6:.2f} MB"
    if key.endswith("_s"):
        return f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"
    return f"{value:g}"


def compare(case, key, ours, theirs):
    """'13 / 26 = 0.50', or with a cross behind it where the target is missed."""
    a, b = ours[key], theirs[key]
    most = KERNELS[case] if key == "kernels" and case in KERNELS else TARGETS.get(key, math.inf) * b
    met = a <= most
    return f"{quantity(key, a)} / {quantity(key, b)} = {a / b:.2f}{'' if met else ' ✗'}", met


def show(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for at, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if at == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main(arguments, time_torch):
    """Prints the table; 0 if every target is met, else 1."""
    keys = {"kernels": "kernels", "bytes": "bytes moved", "peak_bytes": "peak memory", "temporary_bytes": "temporary"}
    keys |= {"host_s": "host", "step_s": "step"}
    table = [["step", *keys.values(), "kernels, fused=True"]]
    missed = 0
    for case in (case for case in MODELS if arguments.filter in case):
        name, ours = wengert_row(arguments, case)
        theirs = count(case, arguments.device, time_torch)
        if arguments.names:
            print(f"{case}: {' '.join(theirs['names'])}")
        cells = [compare(case, key, ours, theirs) for key in keys]
        missed += sum(not met for _, met in cells)
        table.append([case, *(text for text, _ in cells), str(theirs["fused"])])
    if len(table) == 1:
        sys.exit("no case matches")
    print("Wengert / PyTorch = ratio; ✗ where a target is missed")
    show(table)
    print("targets: mlp_sgd 13 kernels, the others a third of PyTorch's; half its bytes and half its peak memory")
    print(f"Wengert on {name}")
    return 1 if missed else 0
