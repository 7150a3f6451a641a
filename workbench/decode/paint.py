"""Paints a prompt step by step, shows each step, and stores the decode.

`about` of a stored decode holds everything needed to paint it again.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dream.decoding.decode import Scored
from dream.decoding.paint import PaintPlan, paint_iter
from dream.decoding.previews import previews
from dream.decoding.record import About
from dream.decoding.record_writer import RecordWriter
from dream.decoding.state import Beginning, Given, StepRecord
from dream.errors import InputError
from workbench import store
from workbench.decode.request import DecodeRequest, KeptPicture, Stretch, check_decode_request, stretches
from workbench.pictures import Picture, image_of
from workbench.store import StoredDecode
from workbench.work import Work
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

GIVEN_PICTURE = "given.png"
"""File in a stored decode's folder: the picture of which it kept a part."""


@dataclass(frozen=True)
class Painting:
    """A decode as far as it is painted."""

    picture: Picture
    step: int
    """Steps done."""
    steps: int
    decoded_fraction: float


def paint_and_store(
    work: Work[StoredDecode], workspace: Workspace, pretrained: "Pretrained", request: DecodeRequest
) -> StoredDecode:
    """Paints the request, shows a `Painting` after every step, and stores the decode.

    If cancelled, nothing is stored. Raises InputError as `check_decode_request` does, and if another model
    painted a fork's parent.
    """
    check_decode_request(pretrained.config, request)
    _check_model(pretrained, request)
    with store.begin(workspace, "decode", request.prompt, _about(workspace, pretrained, request)) as draft:
        painted = []  # written at the end, so that the first picture does not wait for the disk
        for step in _steps(pretrained, request):
            shown = previews(pretrained.image_tokenizer, pretrained.config.image, step)
            painted.append((step, shown))
            work.show(Painting(shown[0].numpy(), step.step + 1, step.num_steps, step.decoded_fraction))
            work.tell(0.98 * step.decoded_fraction, f"painting: step {step.step + 1} of {step.num_steps}")
        _write(draft, pretrained, request, painted)
        work.check()
        return draft.finish(image_of(painted[-1][1][0].numpy()))


def _steps(pretrained: "Pretrained", request: DecodeRequest) -> Iterator[StepRecord]:
    """The steps to paint; of a fork, those after it. All rows are candidate 0 of the record."""
    scored: Scored = "all" if pretrained.config.objective.contrastive_weight else "choices"
    ids, beginning = _picture_ids(request), _beginning(pretrained, request)
    records = paint_iter(
        pretrained, [request.prompt], request.settings, picture_ids=ids, beginning=beginning, scored=scored
    )
    for record in records:
        yield replace(record, candidate=torch.zeros_like(record.candidate))


def _picture_ids(request: DecodeRequest) -> Sequence[int]:
    """The id that order and noise are drawn for: a fork has its parent's."""
    return (0,) if request.fork is None else request.fork.record.about.picture_ids[:1]


def _beginning(pretrained: "Pretrained", request: DecodeRequest) -> Beginning:
    if request.fork is not None:
        return request.fork.midway
    return None if request.start is None else _given(pretrained, request.start)


def _given(pretrained: "Pretrained", start: KeptPicture) -> Given:
    kept = torch.zeros(pretrained.config.image.num_tokens, dtype=torch.bool)
    kept[list(start.kept)] = True
    if start.tokens is not None:
        return Given(torch.from_numpy(start.tokens)[None], kept)
    with torch.no_grad():
        return Given(pretrained.image_tokenizer.tokenize(torch.from_numpy(start.picture)[None]), kept)


def _write(
    draft: store.Draft, pretrained: "Pretrained", request: DecodeRequest, painted: list[tuple[StepRecord, Tensor]]
) -> None:
    with RecordWriter(draft.record_path, _record_about(pretrained, request)) as writer:
        if request.fork is not None:
            writer.take_over(request.fork.record, request.fork.steps, request.fork.candidate)
        for step, shown in painted:
            writer.add(step, shown)
    if request.start is not None:
        image_of(request.start.picture).save(draft.path / GIVEN_PICTURE)
    elif request.fork is not None and (request.fork.parent.path / GIVEN_PICTURE).is_file():
        shutil.copy(request.fork.parent.path / GIVEN_PICTURE, draft.path)


def _about(workspace: Workspace, pretrained: "Pretrained", request: DecodeRequest) -> dict[str, Any]:
    about: dict[str, Any] = {
        "model": request.model,
        "weights": request.weights,
        "model_id": pretrained.model_id,
        "checkpoint": workspace.shown(pretrained.path),
        "seed": request.settings.seed,
        "settings": request.settings.to_dict(),
        "readings": [pretrained.reader.read(request.prompt).to_dict()],
    }
    if request.start is not None:
        about["kept"] = list(request.start.kept)
    if request.fork is not None:
        fork, parent = request.fork, request.fork.parent
        before = [one for one in stretches(parent) if one.first_step < fork.steps]
        own = Stretch(fork.steps, request.prompt, request.settings)
        about |= {"parent": parent.id, "fork_step": fork.steps}
        about["stretches"] = [one.to_dict() for one in [*before, own]]
        about |= {name: parent.about[name] for name in ("kept",) if name in parent.about}
    return about


def _record_about(pretrained: "Pretrained", request: DecodeRequest) -> About:
    plan = PaintPlan((request.prompt,), request.settings, _picture_ids(request), batch_size=1)
    if request.fork is None:
        return About.of(pretrained, plan)
    state, steps = request.fork.midway.state, request.fork.steps
    return About.of(pretrained, plan, taken_over=steps, noise_candidate=int(state.candidate[0]))


def _check_model(pretrained: "Pretrained", request: DecodeRequest) -> None:
    if request.fork is None:
        return
    painter = request.fork.record.about.model_id
    if painter != pretrained.model_id:
        raise InputError(
            f"a fork needs the model that painted its parent ({painter}), but {request.model} is now "
            f"{pretrained.model_id}; choose that model, or decode without a fork"
        )
