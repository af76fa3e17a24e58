"""Reading of LVT checkpoints in all known containers, without running code from them; writing.

The model is identified from keys and shapes. `containers.CONTAINERS` and `normalize.LEFTOVERS` list
the known containers and ignored entries; the tables of `docs/checkpoints.md` come from them.
"""

from lvt.checkpoint.identify import identify
from lvt.checkpoint.load import load_model
from lvt.checkpoint.meta import CheckpointMeta
from lvt.checkpoint.normalize import DEAD_KEYS
from lvt.checkpoint.pickles import reject_zip_bomb
from lvt.checkpoint.read import SAFETENSORS_KEY, Checkpoint, read_checkpoint
from lvt.checkpoint.write import write_checkpoint

__all__ = [
    "DEAD_KEYS",
    "SAFETENSORS_KEY",
    "Checkpoint",
    "CheckpointMeta",
    "identify",
    "load_model",
    "read_checkpoint",
    "reject_zip_bomb",
    "write_checkpoint",
]
