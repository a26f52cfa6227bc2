"""Peers that need more than a line to be driven: nnsight, and llama.cpp through its C interface."""

import ctypes

from harness import HOME, THREADS, transformers_model

FILES = {
    "F32": HOME / "data" / "smollm2-f32.gguf",
    "F16": HOME / "data" / "smollm2-f16.gguf",
    "Q8_0": HOME / "data" / "smollm2-q8_0.gguf",
}
"""The default model in the precisions that llama.cpp runs; `make_gguf.py` writes them."""


def nnsight_model():
    """Return the default model inside nnsight."""
    from nnsight.modeling.transformers import TransformersModel
    from transformers import AutoTokenizer

    return TransformersModel(
        transformers_model(), tokenizer=AutoTokenizer.from_pretrained(HOME / "smollm2"), task="text-generation"
    )


def hooked_transformer(kind: type | None = None):
    """Return the default model in TransformerLens 2, or in a subclass of its model, which does not know it by name."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights
    from transformers import AutoTokenizer

    given = transformers_model()
    told = given.config
    how = HookedTransformerConfig(
        n_layers=told.num_hidden_layers,
        d_model=told.hidden_size,
        n_heads=told.num_attention_heads,
        n_key_value_heads=told.num_key_value_heads,
        d_head=told.hidden_size // told.num_attention_heads,
        d_mlp=told.intermediate_size,
        d_vocab=told.vocab_size,
        n_ctx=2048,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        final_rms=True,
        eps=told.rms_norm_eps,
        positional_embedding_type="rotary",
        rotary_dim=told.hidden_size // told.num_attention_heads,
        rotary_adjacent_pairs=False,
        rotary_base=int(getattr(told, "rope_theta", 100_000)),
        default_prepend_bos=False,
        device="cpu",
    )
    made = (kind or HookedTransformer)(how, tokenizer=AutoTokenizer.from_pretrained(HOME / "smollm2"))
    made.load_and_process_state_dict(
        convert_llama_weights(given, how),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return made.eval()


class LlamaCpp:
    """The default model in llama.cpp, one sequence a row, decoded greedily."""

    def __init__(self, file: str, rows: int, columns: int) -> None:
        import llama_cpp

        self.api, self.rows = llama_cpp, rows
        self.model = llama_cpp.llama_model_load_from_file(
            str(FILES[file]).encode(), llama_cpp.llama_model_default_params()
        )
        asked = llama_cpp.llama_context_default_params()
        asked.n_ctx, asked.n_batch, asked.n_ubatch, asked.n_seq_max = max(256, rows * columns), 512, 512, rows
        asked.n_threads = asked.n_threads_batch = THREADS
        self.context = llama_cpp.llama_init_from_model(self.model, asked)
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)
        self.d_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def steer(self, layer: int, vector) -> None:
        """Add `vector` after block `layer` from now on."""
        import numpy as np

        # The buffer has no row for block 0; row i belongs to block i + 1.
        rows = np.zeros((30, len(vector)), np.float32)
        rows[layer - 1] = vector
        pointer = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        apply = getattr(self.api, "llama_set_adapter_cvec", None) or self.api.llama_apply_adapter_cvec
        assert apply(self.context, pointer, rows.size, rows.shape[1], layer, layer) == 0

    def generate(self, ids, n_new: int) -> list[list[int]]:
        """Return `n_new` greedy tokens after every row of `ids`, `[rows length]`."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        length = ids.shape[1]
        prompt = [(row, place, int(ids[row, place])) for row in range(self.rows) for place in range(length)]
        said: list[list[int]] = [[] for _ in range(self.rows)]
        newest = self._decode(prompt, last=length - 1)
        for step in range(n_new):
            for row, token in enumerate(newest):
                said[row].append(token)
            if step + 1 < n_new:
                newest = self._decode(
                    [(row, length + step, token) for row, token in enumerate(newest)], last=length + step
                )
        return said

    def _decode(self, tokens: list[tuple[int, int, int]], last: int) -> list[int]:
        """Read tokens given as (row, position, id); return the likeliest next token of every row."""
        import numpy as np

        batch, asked = self.batch, []
        for number, (row, place, token) in enumerate(tokens):
            batch.token[number], batch.pos[number] = token, place
            batch.n_seq_id[number], batch.seq_id[number][0] = 1, row
            batch.logits[number] = int(place == last)
            if place == last:
                asked.append(number)
        batch.n_tokens = len(tokens)
        assert self.api.llama_decode(self.context, batch) == 0
        found = [self.api.llama_get_logits_ith(self.context, number) for number in asked]
        return [int(np.ctypeslib.as_array(logits, shape=(self.d_vocab,)).argmax()) for logits in found]
