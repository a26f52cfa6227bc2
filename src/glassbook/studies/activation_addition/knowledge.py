"""What steering leaves alone: facts that have nothing to do with weddings, completed before and after."""

from glassbook.steering.vector_set import Vectors
from glassbook.studies.activation_addition.bench import BREAKING, Bench, Columns, note_cost, read_choice
from glassbook.studies.activation_addition.material import FACTS
from glassbook.studies.activation_addition.reading import NextTokens, first_tokens, ranks
from glassbook.studies.contract import Cell

K = (1, 10)


def measure_knowledge(cell: Cell) -> Columns:
    """Return, for each fact, whether its word is among the k likeliest (`hit<k>_<who>`), and its log-probability."""
    bench, n = Bench.of(cell), cell.settings.n_prompts
    facts = FACTS[:n] if n else FACTS
    choice = read_choice(cell.other("actadd"))
    vector = choice.strength * bench.vector(choice.layer)
    steers: dict[str, Vectors | None] = {
        "unsteered": None,
        "actadd": vector,
        "flipped": -vector,
        "random": bench.randoms(vector, 1)[0],
        "broken": BREAKING * vector,
    }
    reader = NextTokens(bench.model, [prompt for prompt, _ in facts])
    answers = first_tokens(bench.model, [answer for _, answer in facts])
    told = reader.log_probs(list(steers.values()))
    columns: dict[str, object] = {}
    for name, log_probs in zip(steers, told, strict=True):
        rank = ranks(log_probs, answers)
        columns |= {f"hit{k}_{name}": (rank < k).double().numpy() for k in K}
        columns[f"log_p_{name}"] = log_probs.gather(-1, answers[:, None])[:, 0].double().numpy()
    note_cost(cell, bench.model, reader.n_read)
    return bench.finish(columns)
