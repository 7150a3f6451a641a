"""Commands that take a while and write: what each is given, what it writes, and how that is read.

Each goes on, or begins again, when its first line is called once more.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dream.data.cache.corpus import open_cache
from dream.data.cache.layout import find_parts, is_cache
from dream.data.cache.rows import read_cached_row
from dream.data.report import DataReport
from dream.decoding.critic import load_critic
from dream.decoding.pictures import read_about
from dream.decoding.record import load_record
from dream.errors import InputError
from dream.evaluation.event_log import read_events
from dream.evaluation.results import read_folder
from dream.pretrained import load_pretrained
from dream.training import checkpoint
from dream.training.live_tensors import model_tensors
from tests.dream.decoding import decode_fakes
from tests.dream.evaluation import evaluation_small
from tests.dream.frozen_small import save_t5, save_vae
from tests.dream.training.training_small import write_pictures

PROMPT = decode_fakes.PROMPTS[0]


@dataclass(frozen=True)
class Undertaking:
    """A command of `dream`; paths are those of what it is given and of what it writes."""

    name: str
    lay_out: Callable[[Path], object]
    """Writes what is given."""
    lines: Callable[[Path, Path], Sequence[Sequence[str]]]
    """Command lines that run at the same time."""
    read: Callable[[Path], object]
    """What is written, as a reader sees it; raises InputError for what is not whole, and that says so."""
    whole_or_said: bool = False
    """Whether a folder that is not whole may be there, of which readers say so."""


def _painter(given: Path) -> None:
    decode_fakes.save_run(decode_fakes.small_pretrained(), given / "run")


def _decode(given: Path, *arguments: str) -> list[str]:
    return ["decode", "--model", str(given / "run"), "--prompt", PROMPT, "--steps", "4", *arguments]


def _pictures(out: Path) -> object:
    """Bytes of every picture; each is whole."""
    files = sorted((out / "pictures").glob("*.png"))
    assert all(read_about(file)["prompt"] == PROMPT for file in files)
    return {file.name: file.read_bytes() for file in files}


def _sheet(out: Path) -> object:
    seen: dict[str, object] = {}
    for name in ("sheet.png", "steps.gif"):
        if (out / name).exists():
            seen[name] = (out / name).read_bytes()
            if name.endswith(".png"):
                read_about(out / name)
    if (out / "all.zarr").exists():
        record = load_record(out / "all.zarr")
        arrays = [record.tokens, record.order, record.mask, *(record.previews[step] for step in record.steps)]
        seen["record"] = [np.asarray(values).tobytes() for values in arrays]
    return seen


def _evaluated(given: Path) -> None:
    pretrained = evaluation_small.small_pretrained(None)
    state = checkpoint.TrainingState(3, pretrained.config, "shapes", None)
    tensors = {"model": model_tensors(pretrained.model)}
    checkpoint.write_checkpoint(given / "model", state, tensors, pretrained.tokenizer)


def _evaluate(given: Path, out: Path, *models: str) -> list[str]:
    sets = ["edits.count=40", "knn.train_count=40", "knn.test_count=20", "knn.k=3"]
    wanted = [word for name in models for word in ("--model", f"{name}={given / 'model'}")]
    tasks = ["--tasks", "edits,knn", "--set", *sets]
    return ["evaluate", *wanted, *tasks, "--out", str(out / "results"), "--progress", str(out / f"{models[0]}.jsonl")]


def _results(out: Path) -> object:
    """Measures of each model; events of every log are whole."""
    for log in out.glob("*.jsonl"):
        read_events(log)
    if not any((out / "results").glob("*.json")):
        return {}
    return {
        each.name: sorted((e.task, json.dumps([m.to_dict() for m in e.measures])) for e in each.entries)
        for each in read_folder(out / "results")
    }


def _frozen(given: Path) -> None:
    write_pictures(given / "pictures", 150)  # three parts
    save_vae(given / "vae")
    save_t5(given / "t5", [path.read_text() for path in sorted((given / "pictures").glob("*.txt"))])


def _cache(given: Path, out: Path, *arguments: str) -> list[str]:
    sets = [f"image.vae={given / 'vae'}", "image.tokenizer=sd-vae", "image.channels=4", "image.stride=2"]
    sets += ["image.patch_size=2", "image.size=16", "text.conditioning=t5", f"text.t5={given / 't5'}"]
    sets += ["text.conditioning_width=16", "text.conditioning_length=9"]
    line = ["cache", "--preset", "tiny", "--data", str(given / "pictures"), "--set", *sets]
    return [*line, "--out", str(out / "cache.zarr"), "--batch-size", "8", *arguments]


def _cached(out: Path) -> object:
    cache = out / "cache.zarr"
    if not is_cache(cache):
        return {}
    shelf = find_parts(cache)
    if holes := shelf.holes():
        raise InputError(f"the cache is not whole: {holes[0]}")
    corpora, about = open_cache(cache)
    rows = [[row.key, str(row.caption())] for corpus in corpora.values() for row in corpus.rows(0, 0, DataReport())]
    values = [
        read_cached_row(str(cache / "train" / f"{shard:06d}-{number:06d}" / "moments"), row).tobytes()
        for shard, parts in shelf.parts["train"].items()
        for number, part in sorted(parts.items())
        for row in range(part.rows)
    ]
    return {"rows": rows, "values": values, "latents": about.latent_shape}


def _model(out: Path) -> object:
    """Every file of an exported or published model, which opens."""
    folder = out / "model"
    if not folder.exists():
        return {}
    load_pretrained(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _two_runs(given: Path) -> None:
    _painter(given)
    (given / "run" / "metrics.jsonl").write_text('{"kind": "train", "step": 1}\n')


def _export(given: Path, out: Path) -> list[str]:
    return ["export", "--model", str(given / "run"), "--out", str(out / "model"), "--overwrite"]


def _publish(given: Path, out: Path) -> list[str]:
    line = ["publish", *_export(given, out)[1:], "--prompt", PROMPT, "--dtype", "float32"]
    return [*line, "--results", str(given / "none")]


def _critic(given: Path, out: Path) -> list[str]:
    few = ["--prompts", "8", "--candidates", "2"]
    return ["critic", "train", "--model", str(given / "run"), "--out", str(out / "critic"), *few, "--overwrite"]


def _critic_read(out: Path) -> object:
    if not (out / "critic" / "critic.safetensors").exists():
        return {}
    return {
        name: values.tolist()
        for name, values in load_critic(out / "critic" / "critic.safetensors").state_dict().items()
    }


def _sheet_line(given: Path, out: Path) -> list[str]:
    many = ["--candidates", "3", "--select-at", "2steps", "--record", str(out / "all.zarr"), "--overwrite"]
    return _decode(given, "--out", str(out / "sheet.png"), *many)


def _parts(given: Path, out: Path, part: str) -> list[str]:
    many = ["--count", "12", "--candidates", "8", "--select-at", "2steps", "--part", part]
    return _decode(given, "--out", str(out / "pictures"), "--resume", *many)


UNDERTAKINGS = (
    Undertaking(
        "decode: a folder in two parts", _painter, lambda g, o: [_parts(g, o, "1/2"), _parts(g, o, "2/2")], _pictures
    ),
    Undertaking("decode: a sheet and a record", _painter, lambda g, o: [_sheet_line(g, o)], _sheet),
    Undertaking(
        "decode: a trajectory",
        _painter,
        lambda g, o: [_decode(g, "--out", str(o / "steps.gif"), "--overwrite")],
        _sheet,
    ),
    Undertaking(
        "evaluate: twice at once",
        _evaluated,
        lambda g, o: [_evaluate(g, o, "a", "b"), _evaluate(g, o, "b", "c")],
        _results,
    ),
    Undertaking(
        "cache: two workers",
        _frozen,
        lambda g, o: [_cache(g, o, "--part", "1/2"), _cache(g, o, "--part", "2/2")],
        _cached,
        whole_or_said=True,
    ),
    Undertaking("export", _two_runs, lambda g, o: [_export(g, o)], _model),
    Undertaking("publish", _two_runs, lambda g, o: [_publish(g, o)], _model),
)
