"""Notebooks run from top to bottom without a browser, in a kernel of their own, as "Run all" does.

It knows nothing of what they are about, and writes nothing.
"""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from dream.errors import InputError, RunError
from workbench.workspace import VARIABLE

SECONDS = 600
"""A cell that takes longer hangs."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""Type of an output that is a widget."""


@dataclass(frozen=True)
class Executed:
    """A notebook after its last cell."""

    notebook: NotebookNode
    """With its outputs."""
    snapshots: dict[str, str]
    """HTML of every widget that it shows, by the widget's id: as it was after its cell, or after the first
    cell that found its work done."""

    @property
    def complaints(self) -> list[str]:
        """What its cells wrote to stderr, warnings among it."""
        outputs = [output for cell in _code(self.notebook) for output in cell.outputs]
        return [each.text for each in outputs if each.output_type == "stream" and each.name == "stderr"]


def execute(path: Path, workspace: Path, then: str = "") -> Executed:
    """Runs the notebook with `workspace` as its workspace, and the Python text `then` as a last cell.

    Raises InputError where there is no notebook, RunError naming the cell that failed.
    """
    notebook = _read(path)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
    )
    environment = {**os.environ, VARIABLE: str(workspace)}
    try:
        with client.setup_kernel(env=environment):
            shown: dict[str, str] = {}
            for index, cell in enumerate(list(notebook.cells)):
                client.execute_cell(cell, index)
                shown |= _snapshots(client, shown)
            shown |= _snapshots(client, shown, settled=False)
            if then:
                _execute_last(client, then)
            return Executed(notebook, shown)
    except CellExecutionError as error:
        raise RunError(f"{path.name}: {error.ename}: {error.evalue}\n{error.traceback}") from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise RunError(f"{path.name}: {error}") from error


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no notebook ({error}); expected a .ipynb file") from error


def _snapshots(client: NotebookClient, known: Collection[str], settled: bool = True) -> dict[str, str]:
    """Asks the kernel for shown widgets as HTML; the notebook does not get the cell that does it."""
    shown = [output.data[WIDGET]["model_id"] for output in _displayed(client.nb) if WIDGET in output.data]
    if not (ids := [id for id in shown if id not in known]):
        return {}
    asking = (
        "import json\nfrom workbench.notebook_pages.snapshot import snapshots\n"
        f"print(json.dumps(snapshots({ids!r}, {settled})))"
    )
    told = _execute_last(client, asking).outputs
    return dict(json.loads("".join(output.text for output in told if output.name == "stdout")))


def _execute_last(client: NotebookClient, source: str) -> NotebookNode:
    """The cell with its outputs; the notebook is as it was."""
    cell = nbformat.v4.new_code_cell(source)
    client.nb.cells.append(cell)
    try:
        return client.execute_cell(cell, len(client.nb.cells) - 1)
    finally:
        client.nb.cells.pop()


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _displayed(notebook: NotebookNode) -> list[Any]:
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    return [output for output in outputs if output.output_type in ("display_data", "execute_result")]
