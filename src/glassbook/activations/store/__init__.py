"""The activation store: what one pass over a corpus left at several Sites, on disk or straight through memory."""

from glassbook.activations.store.harvesting import harvest
from glassbook.activations.store.order import ShuffledRows
from glassbook.activations.store.settings import Harvest, Policy
from glassbook.activations.store.store import ActivationStore, open_store
from glassbook.activations.store.streaming import StreamedRows, stream

__all__ = ["ActivationStore", "Harvest", "Policy", "ShuffledRows", "StreamedRows", "harvest", "open_store", "stream"]
