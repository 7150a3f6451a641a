"""Decodes a stored record again, to compare it with what was stored."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from dream.decoding.paint import PaintPlan, paint_batches, paint_iter
from dream.decoding.record import DecodeRecord
from dream.decoding.state import StepRecord


def replay(record: DecodeRecord, pretrained) -> Iterator[tuple[int, StepRecord]]:
    """(first picture, record) per step, batch by batch; of a fork only the steps that it did not take over."""
    about = record.about
    if about.taken_over:
        midway = record.midway(about.taken_over)
        ids = about.picture_ids
        for step in paint_iter(pretrained, about.prompts, about.settings, picture_ids=ids, beginning=midway):
            yield 0, replace(step, candidate=torch.zeros_like(step.candidate))
        return
    plan = PaintPlan(about.prompts, about.settings, about.picture_ids, about.batch_size)
    yield from paint_batches(pretrained, plan, given=record.given())


def replay_difference(record: DecodeRecord, pretrained) -> float:
    """Largest absolute difference of recorded and replayed tokens over all steps and candidates."""
    largest = 0.0
    for first, step in replay(record, pretrained):
        tokens = step.tokens.masked_fill(step.mask.unsqueeze(-1), torch.nan).cpu().numpy()
        for row, (picture, candidate) in enumerate(zip(step.picture.tolist(), step.candidate.tolist(), strict=True)):
            stored = record.tokens_at(step.step, first + picture, candidate)
            largest = max(largest, float(np.nanmax(np.abs(tokens[row] - stored))))
    return largest
