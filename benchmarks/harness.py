"""Side-by-side measurement: every contender in its own environment and process, rounds interleaved, samples pooled.

A measurement file declares contenders::

    bench = Bench("forward", reference="transformers float32")


    @bench.contender("transformers float32", env="peers")
    def _(case):
        model = ...  # heavy imports here, inside the contender's own process
        case.time("8 x 256", lambda: model(tokens), work=2048)


    if __name__ == "__main__":
        bench.main()

`python benchmarks/forward.py [--rounds 3] [--repeats 3] [--only NAME]` prints a table of ratios and keeps every sample in
`results/forward.json`. Nothing else may run on the machine meanwhile.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

HOME = Path(os.environ.get("GLASSBOOK_BENCH", Path.home() / ".cache" / "glassbook-bench"))
RESULTS = Path(__file__).parent / "results"
THREADS = int(os.environ.get("BENCH_THREADS", "2"))


class Case:
    """What one contender measured."""

    def __init__(self, contender: str, repeats: int, out: Path) -> None:
        self.contender, self.repeats, self.out = contender, repeats, out
        self.rows: dict[str, dict] = {}

    def time(
        self, name: str, run: Callable[[], object], work: int, repeats: int | None = None, **facts: object
    ) -> None:
        """Time `run` after one warm-up; `work` is in tokens. Facts that `run` returns as a dict are kept beside."""
        said = run()
        gc.collect()
        base = _memory("VmRSS")
        _reset_peak()
        samples = []
        for _ in range(repeats or self.repeats):
            start = time.perf_counter()
            said = run()
            samples.append(time.perf_counter() - start)
        row = {"seconds": samples, "work": work, "peak_mb": round(_memory("VmHWM")), "base_mb": round(base)}
        self.keep(name, row | facts | (said if isinstance(said, dict) else {}))

    def keep(self, name: str, row: dict) -> None:
        """Keep a row and write it at once, so that a time-out loses nothing."""
        self.rows[name] = row
        self.out.write_text(json.dumps(self.rows))
        middle = statistics.median(row["seconds"]) if row.get("seconds") else float("nan")
        print(f"  {self.contender:32} {name:28} {middle:9.4f} s  peak {row.get('peak_mb')} MB", flush=True)


class Bench:
    """The contenders of one measurement, one of which the others are compared with."""

    def __init__(self, name: str, reference: str) -> None:
        self.name, self.reference = name, reference
        self.contenders: dict[str, tuple[str, Callable[[Case], None]]] = {}

    def contender(self, name: str, env: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
        """Register a contender that runs in the environment `env`."""

        def register(run: Callable[[Case], None]) -> Callable[[Case], None]:
            self.contenders[name] = (env, run)
            return run

        return register

    def main(self) -> None:
        """Run every contender, or, inside a contender's process, the one named by --child."""
        options = argparse.ArgumentParser(description=self.name)
        options.add_argument("--child")
        options.add_argument("--out", type=Path)
        options.add_argument("--only")
        options.add_argument("--rounds", type=int, default=3)
        options.add_argument("--repeats", type=int, default=3)
        chosen = options.parse_args()
        if chosen.child:
            self._run_child(chosen.child, chosen.repeats, chosen.out)
        else:
            self._run_all(chosen)

    def _run_child(self, name: str, repeats: int, out: Path) -> None:
        try:
            self.contenders[name][1](Case(name, repeats, out))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        # Some peers leave threads behind that would keep the process.
        os._exit(0)

    def _run_all(self, chosen: argparse.Namespace) -> None:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        names = chosen.only.split(",") if chosen.only else list(self.contenders)
        kept = json.loads(path.read_text()) if path.exists() and chosen.only else {"rows": {}}
        for name in names:
            kept["rows"].pop(name, None)
        for number in range(chosen.rounds):
            for name in names:
                print(f"[{self.name}, round {number}] {name}, load {os.getloadavg()[0]:.2f}", flush=True)
                _pool(kept["rows"].setdefault(name, {}), self._spawn(name, chosen.repeats))
                kept |= {"reference": self.reference, "threads": THREADS}
                kept |= {"processor": processor(), "date": time.strftime("%Y-%m-%d")}
                path.write_text(json.dumps(kept, indent=1) + "\n")
        print(table(path))

    def _spawn(self, name: str, repeats: int) -> dict:
        env = self.contenders[name][0]
        out = RESULTS / f".{self.name}.{os.getpid()}.json"
        threads = {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1"}
        quiet = {
            "TOKENIZERS_PARALLELISM": "false",
            "TRANSFORMERS_VERBOSITY": "error",
            "PYTHONPATH": str(Path(__file__).parent),
        }
        command = [
            str(HOME / "venvs" / env / "bin" / "python"),
            sys.argv[0],
            "--child",
            name,
            "--out",
            str(out),
            "--repeats",
            str(repeats),
        ]
        done = subprocess.run(command, env=os.environ | threads | quiet, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            print(done.stderr[-1500:], flush=True)
        rows = json.loads(out.read_text()) if out.exists() else {}
        out.unlink(missing_ok=True)
        return rows


def _pool(into: dict, rows: dict) -> None:
    for name, row in rows.items():
        row["seconds"] = into.get(name, {}).get("seconds", []) + row["seconds"]
        row["peak_mb"] = max(row.get("peak_mb") or 0, into.get(name, {}).get("peak_mb") or 0)
        into[name] = row


def table(path: Path) -> str:
    """Return the results as Markdown: medians with spread, and each time as a ratio of the reference's."""
    data = json.loads(path.read_text())
    lines = [
        "| case | contender | median s (min to max) | per s | time / reference | peak MB | |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(case for rows in data["rows"].values() for case in rows):
        reference = data["rows"].get(data["reference"], {}).get(case)
        for name, rows in data["rows"].items():
            if case in rows:
                lines.append(_line(case, name, rows[case], reference))
    return "\n".join(lines)


def _line(case: str, name: str, row: dict, reference: dict | None) -> str:
    seconds = row["seconds"]
    middle = statistics.median(seconds)
    ratio = f"{middle / statistics.median(reference['seconds']):.3f}" if reference else ""
    speed = f"{row['work'] / middle:.1f}" if row.get("work") else ""
    known = ("seconds", "work", "peak_mb", "base_mb")
    facts = ", ".join(f"{key} {value}" for key, value in row.items() if key not in known)
    spread = f"{middle:.3f} ({min(seconds):.3f} to {max(seconds):.3f})"
    return f"| {case} | {name} | {spread} | {speed} | {ratio} | {row.get('peak_mb') or ''} | {facts} |"


def processor() -> str:
    """Return the name of this machine's processor and what it has for products."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if f" {flag}" in flags]
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name} ({', '.join(known)})"


def _memory(key: str) -> float:
    status = Path("/proc/self/status")
    rows = [line for line in status.read_text().splitlines() if line.startswith(key)] if status.exists() else []
    return int(rows[0].split()[1]) / 1024 if rows else 0.0


def _reset_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


# What contenders share. Imports of torch and of the peers stay inside: every environment has its own.


def tokens(rows: int, length: int, seed: int = 0):
    """Return token ids of real English text, `[rows length]`."""
    import numpy as np
    import torch

    ids = np.load(HOME / "data" / "tokens.npy")
    start = np.random.RandomState(seed).randint(0, len(ids) - rows * length)
    return torch.from_numpy(ids[start : start + rows * length].astype("int64")).view(rows, length)


def transformers_model(dtype: str = "float32"):
    """Return the default model as transformers runs it with its scaled-dot-product attention."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    folder = HOME / "smollm2"
    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()


def transformer_lens_model():
    """Return the default model inside TransformerLens 4's bridge."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    folder = str(HOME / "smollm2")
    model = transformers_model()
    model.config._name_or_path = folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return TransformerBridge.boot_transformers(folder, hf_model=model, tokenizer=tokenizer, device="cpu")


def glassbook_model(dtype: str = "float32"):
    """Return the default model as we run it."""
    import torch

    import glassbook as gb

    torch.set_num_threads(THREADS)
    return gb.open_model("smollm2-135m", dtype=dtype)
