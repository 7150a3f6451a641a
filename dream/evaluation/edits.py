"""Edited captions: is a picture closer to its caption than to one that is wrong in a single thing?

Swapped things show whether the joint space knows which thing is where, which retrieval does not (chance is 0.5).
Drawn pictures are new, half of them of combinations that never occur in training. Emoji are those of a split; their
captions name another style, or a neighbouring thing (another of the same subgroup) in the same style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import EDIT_KINDS, Scene, caption, edits
from dream.data.drawn.shapes import sample_scenes
from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.pixels import pixels_of
from dream.evaluation.classes.emoji_labels import EMOJI_EDITS, edited_emoji
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import JointSettings, at_least, needs_answer_key
from dream.evaluation.statistics import Measure, share
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of

COMBINATIONS = ("all", "unseen", "seen")


@dataclass(frozen=True)
class EditsSettings(JointSettings, task="edits"):
    """Settings of the task `edits`."""

    count: Annotated[int, at_least(2)] = 2000
    """Pictures, half of them of combinations that never occur in training; emoji: all of the split if it has fewer."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Returns the share of pictures whose caption beats the edited one, by kind, mask ratio and combination.

        Kinds that only some pictures have (swapped, relation; neighbouring thing) are measured on those. Equal
        similarity is a miss.
        """
        if is_emoji(data):
            return _on_emoji(pretrained, data, self, seed)
        needs_answer_key("edits", data)
        count = self.count
        level, draws = pretrained.config.data.level, np.random.default_rng(seed_of(seed, "edits"))
        scenes = sample_scenes(level, count // 2, draws, unseen=True)
        scenes += sample_scenes(level, count - count // 2, draws)
        changed = [edits(scene, level, draws) for scene in scenes]
        images = torch.from_numpy(draw(scenes, pretrained.config.image.size))
        features = _features_by_scene(pretrained, [*scenes, *(e for kinds in changed for e in kinds.values())])
        found = []
        for ratio in self.mask_ratios:
            pictures = picture_features(pretrained, images, ratio, generator(seed, "edit masks", str(ratio)))
            for kind in EDIT_KINDS:
                rows = [i for i, kinds in enumerate(changed) if kind in kinds]
                if rows:
                    own = torch.stack([features[scenes[i]] for i in rows])
                    edited = torch.stack([features[changed[i][kind]] for i in rows])
                    wins = (pictures[rows] * (own - edited)).sum(1).numpy() > 0
                    found += _by_combination(kind, ratio, wins, np.array(rows) < count // 2)
        return found


def _on_emoji(pretrained: Pretrained, data: str, settings: EditsSettings, seed: int) -> list[Measure]:
    changed = edited_emoji(data, settings.count, seed)
    size, ratios = pretrained.config.image.size, settings.mask_ratios
    images = torch.from_numpy(pixels_of([drawing for drawing, _ in changed], size))
    own = caption_features(pretrained, [drawing.caption for drawing, _ in changed])
    measures = []
    for ratio in ratios:
        pictures = picture_features(pretrained, images, ratio, generator(seed, "edit masks", str(ratio)))
        for kind in EMOJI_EDITS:
            rows = [i for i, (_, kinds) in enumerate(changed) if kind in kinds]
            if rows:
                edited = caption_features(pretrained, [changed[i][1][kind] for i in rows])
                wins = (pictures[rows] * (own[rows] - edited)).sum(1).numpy() > 0
                measures.append(Measure("edits", kind, {"data": data, "mask_ratio": ratio}, share(wins)))
    return measures


def _features_by_scene(pretrained: Pretrained, scenes: Sequence[Scene]) -> dict[Scene, Tensor]:
    """Returns the feature of each scene's canonical caption, computed once."""
    unique = list(dict.fromkeys(scenes))
    return dict(zip(unique, caption_features(pretrained, [caption(s) for s in unique]), strict=True))


def _by_combination(kind: str, mask_ratio: float, wins: NDArray[np.bool_], unseen: NDArray[np.bool_]) -> list[Measure]:
    chosen = {"all": np.ones_like(unseen), "unseen": unseen, "seen": ~unseen}
    return [
        Measure(
            "edits", kind, {"data": "shapes", "mask_ratio": mask_ratio, "combination": name}, share(wins[chosen[name]])
        )
        for name in COMBINATIONS
    ]
