"""A run's log as data frames. It reads no file."""

import numpy as np
import pandas as pd

from workbench.runs.curves import Curves


def train_frame(curves: Curves) -> pd.DataFrame:
    """A row a training row: step, minutes, its numbers, and the generative loss by band of the mask ratio."""
    columns = {"step": curves.steps.astype(np.int64), "minutes": curves.minutes, **curves.train}
    return pd.DataFrame(columns | {f"generative at {band}": v for band, v in curves.by_ratio.items()})


def validation_frame(curves: Curves) -> pd.DataFrame:
    """A row a validation: step, loss, R@1, and both losses by mask ratio."""
    columns = {"step": curves.checked.astype(np.int64), **curves.validation}
    columns |= {f"generative at {ratio}": v for ratio, v in curves.generative_at.items()}
    return pd.DataFrame(columns | {f"contrastive at {ratio}": v for ratio, v in curves.contrastive_at.items()})
