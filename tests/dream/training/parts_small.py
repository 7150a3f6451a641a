"""Checkpoints with a file per rank, without ranks: a whole one split by rows, as torch's storage writes it."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dream.training.checkpoint import fingerprint_of


def split_checkpoint(folder: Path, ranks: int = 3) -> Path:
    """Makes of a checkpoint with whole files one whose rows are spread over so many files, as FSDP spreads them."""
    tree = json.loads((folder / "state.json").read_text())
    files = {}
    for name in sorted(tree["files"]):
        group = folder / name.removesuffix(".safetensors")
        write_in_parts(group, load_file(folder / name), ranks)
        (folder / name).unlink()
        files |= {f"{group.name}/{path.name}": fingerprint_of(path) for path in sorted(group.iterdir())}
    (folder / "state.json").write_text(json.dumps({**tree, "format": 2, "files": files}))
    return folder


def write_in_parts(folder: Path, tensors: Mapping[str, Tensor], ranks: int) -> None:
    """A file per rank; scalars are written by one of them, and a tensor of few rows has ranks without any."""
    folder.mkdir()
    for rank in range(ranks):
        own, places = {}, {}
        for number, (name, tensor) in enumerate(sorted(tensors.items())):
            if tensor.ndim:
                size = -(-len(tensor) // ranks)
                start = min(rank * size, len(tensor))
                own[name] = tensor[start : start + size].contiguous()
                places[name] = {"saved_offsets": [start] + [0] * (tensor.ndim - 1)}
            elif number % ranks == rank:
                own[name], places[name] = tensor, {"saved_offsets": []}
        file = folder / f"shard-{rank + 1:05d}-model-00001-of-00001.safetensors"
        save_file(own, file, metadata={"DCP_SHARDING_INFO": json.dumps(places), "format": "pt"})


def joined(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of files as their headers place them; needs nothing of what it tests."""
    found: dict[str, list[tuple[int, Tensor]]] = {}
    for path in (folder / name).iterdir():
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            places = json.loads(file.metadata()["DCP_SHARDING_INFO"])
            for key in file.keys():  # noqa: SIM118
                found.setdefault(key, []).append(((places[key]["saved_offsets"] or [0])[0], file.get_tensor(key)))
    parts = {key: [part for _, part in sorted(each, key=lambda pair: pair[0])] for key, each in found.items()}
    return {key: torch.cat(each) if each[0].ndim else each[0] for key, each in parts.items()}
