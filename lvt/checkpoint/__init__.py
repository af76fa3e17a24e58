"""Reads every container an LVT checkpoint comes in, and writes our own; executes nothing from it.

What a file holds is told from its keys and shapes. `containers.CONTAINERS` and
`containers.LEFTOVERS` list what is known; `docs/checkpoints.md` is made from them.
"""

from lvt.checkpoint.containers import DEAD_KEYS
from lvt.checkpoint.identify import identify
from lvt.checkpoint.load import load_model
from lvt.checkpoint.meta import CheckpointMeta
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
