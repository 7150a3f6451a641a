"""Loggers that people already have, next to a run's own files: through Lightning Fabric's interface of loggers.

A logger that fails is said once and left out; it never ends a training.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.config import DreamConfig
from dream.console import Console
from dream.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from lightning_fabric.loggers import Logger

LOGGERS = {"csv": "", "tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Package that each logger needs."""
LOGS = "logs"
"""Folder of a run for what loggers write."""
PROJECT = "dream"


def check_loggers(names: Sequence[str]) -> None:
    """Raises InputError for a name that is not known, and for a logger whose package is missing."""
    for name in names:
        if name not in LOGGERS:
            raise InputError(
                f"unknown logger '{name}'{did_you_mean(name, LOGGERS)}: --log takes {', '.join(LOGGERS)}, by commas"
            )
        package = LOGGERS[name]
        if package and importlib.util.find_spec(package) is None:
            raise InputError(f"--log {name} needs the package {package}: pip install {package}")


def build_logger(name: str, run: Path) -> "Logger":
    """The logger of a name, for a run's folder."""
    from lightning_fabric.loggers import CSVLogger, TensorBoardLogger

    if name == "csv":  # a version of its own for every start: it deletes older rows of the same
        return CSVLogger(run / LOGS, name="csv", flush_logs_every_n_steps=1)
    if name == "tensorboard":
        return TensorBoardLogger(run / LOGS, name="tensorboard", version="")
    return _service_logger(name, run)


class Mirrors:
    """Copies of a run's rows for its loggers."""

    def __init__(self, names: Sequence[str], run: Path, config: DreamConfig, console: Console) -> None:
        self._console = console
        self._loggers: dict[str, Logger] = {}
        for name in names:
            with self._kept(name):
                logger = build_logger(name, run)
                with suppress(NotImplementedError):  # csv has no place for settings; config.json has them
                    logger.log_hyperparams(dict(flat_numbers(config.to_dict(), texts=True)))
                self._loggers[name] = logger

    def row(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Gives a row's numbers to every logger, as `train/generative_loss` and so on."""
        numbers = dict(flat_numbers(values, f"{kind}/"))
        for name, logger in list(self._loggers.items()):
            with self._kept(name):
                logger.log_metrics(numbers, step)

    def end(self, status: str) -> None:
        """Ends every logger."""
        for name, logger in list(self._loggers.items()):
            with self._kept(name):
                logger.finalize(status)

    def _kept(self, name: str) -> "_Kept":
        return _Kept(self, name)

    def drop(self, name: str, error: BaseException) -> None:
        """Goes on without a logger that failed."""
        self._loggers.pop(name, None)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self._console.say(f"the logger {name} failed and is left out ({reason[:160]}); the run's own files go on")


class _Kept:
    """Turns any failure of a logger into its being left out."""

    def __init__(self, mirrors: Mirrors, name: str) -> None:
        self.mirrors, self.name = mirrors, name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.mirrors.drop(self.name, error)
        return True


def flat_numbers(tree: Mapping[str, Any], prefix: str = "", *, texts: bool = False) -> Iterator[tuple[str, Any]]:
    """Numbers of a nested object by path, `a/b`; with `texts`, texts too. Lists and all else are left out."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat_numbers(value, f"{prefix}{key}/", texts=texts)
        elif (isinstance(value, (int, float)) and not isinstance(value, bool)) or (
            texts and isinstance(value, (str, bool))
        ):
            yield f"{prefix}{key}", value


def _service_logger(name: str, run: Path) -> "Logger":
    """A logger of Fabric's kind over a module with `init`, `log` and `finish`, as wandb and trackio have them."""
    from lightning_fabric.loggers import Logger

    module = importlib.import_module(name)

    class ServiceLogger(Logger):
        """Starts with the settings of the training."""

        def __init__(self) -> None:
            self._begun = False

        @property
        def name(self) -> str:
            return name

        @property
        def version(self) -> str:
            return run.name

        def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
            module.init(project=PROJECT, name=run.resolve().name, config=dict(params), resume="allow")
            self._begun = True

        def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
            module.log(dict(metrics), step=step)

        def finalize(self, status: str) -> None:
            if self._begun:
                with suppress(Exception):
                    module.finish()

    return ServiceLogger()
