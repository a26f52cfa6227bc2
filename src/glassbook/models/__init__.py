"""Models: transformers written from scratch, one file an architecture, every value at an address."""

from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.generation import Completion, Piece
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.models.gpt_neox import GPTNeoX, GPTNeoXConfig
from glassbook.models.identity import Identity
from glassbook.models.llama import Llama, LlamaConfig
from glassbook.models.mixtral import Mixtral, MixtralConfig, load_balancing_loss
from glassbook.models.model import Model
from glassbook.models.sampling import Sampling
from glassbook.models.scoring import perplexity, token_log_probs

__all__ = [
    "ARCHITECTURES",
    "GPT2",
    "Completion",
    "GPT2Config",
    "GPTNeoX",
    "GPTNeoXConfig",
    "Identity",
    "Llama",
    "LlamaConfig",
    "Mixtral",
    "MixtralConfig",
    "Model",
    "Piece",
    "Sampling",
    "load_balancing_loss",
    "perplexity",
    "token_log_probs",
]
