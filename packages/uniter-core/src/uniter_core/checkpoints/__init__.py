"""Weights in and out: model folders, official UNITER checkpoints, BERT's weights."""

from uniter_core.checkpoints.bert import convert_bert
from uniter_core.checkpoints.folder import ModelFolder, load_folder, save_folder, write_folder
from uniter_core.checkpoints.loading import CheckpointError, LoadReport, load_tensors
from uniter_core.checkpoints.names import official_name, our_name
from uniter_core.checkpoints.official import convert_official, export_official, from_official, to_official

__all__ = [
    "CheckpointError",
    "LoadReport",
    "ModelFolder",
    "convert_bert",
    "convert_official",
    "export_official",
    "from_official",
    "load_folder",
    "load_tensors",
    "official_name",
    "our_name",
    "save_folder",
    "to_official",
    "write_folder",
]
