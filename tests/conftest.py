"""What all tests share: two threads, hypothesis without a clock, and the default model where it is cached."""

import os

# Read when torch loads its thread library. Threads that spin while they wait make tiny networks a hundred times slower
# on a machine whose cores are busy with other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(2)
settings.register_profile(
    "glassbook", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("glassbook")
