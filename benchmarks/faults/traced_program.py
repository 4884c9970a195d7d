"""The script that TrainCheck rewrites and traces: twenty steps of one program.

Environment variables name the case, its side (``right`` or ``wrong``), the seed, and where modules
are found: TrainCheck sets a PYTHONPATH of its own.
"""

import os
import sys

import torch


sys.path[:0] = os.environ["MODULES"].split(os.pathsep)
STEPS = 20

from benchmarks.faults.case import cases  # noqa: E402 - found only now


torch.manual_seed(int(os.environ["SEED"]))
trainee = cases()[os.environ["CASE"]].build(right=os.environ["SIDE"] == "right")
model = trainee.model
for _ in range(STEPS):
    trainee.step({key: value.clone() for key, value in trainee.batch.items()})
