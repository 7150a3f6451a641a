"""Judge: accuracy of the judge of `prompts` and `selection`, on pictures with known answers, unseen in its training.

Pictures as they are must be read right, worn ones too, and malformed ones must be refused. The evaluated model plays no
part but for its size.
"""

from dataclasses import dataclass
from typing import Annotated

from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import TaskSettings, at_least
from dream.evaluation.statistics import Measure
from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class JudgeSettings(TaskSettings, task="judge"):
    """Number of pictures."""

    count: Annotated[int, at_least(10)] = 2000
    """Pictures as they are, the same number with each kind of wear, and a fifth of each damage."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Shares of pictures that the judge reads as their answer key says, by attribute, and refuses, by damage.

        Exact pictures have the model's level and size, which the judge rescales to its own. Raises InputError for data
        or a level without a judge.
        """
        judge = needed_judge("judge", data, pretrained.config)
        return judge.agreement(pretrained.config.image.size, self.count, seed, progress)
