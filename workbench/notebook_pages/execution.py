"""Runs notebooks from top to bottom in their own kernel, without a browser, like "Run all"."""

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
"""Timeout per cell."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""MIME type of a widget output."""


@dataclass(frozen=True)
class Executed:
    """An executed notebook."""

    notebook: NotebookNode
    """The notebook with its outputs."""
    snapshots: dict[str, str]
    """HTML of every displayed widget by its id, taken after its cell, or after the first later cell at which its work
    was done."""

    @property
    def complaints(self) -> list[str]:
        """Texts that the cells wrote to stderr, warnings included."""
        outputs = [output for cell in _code(self.notebook) for output in cell.outputs]
        return [each.text for each in outputs if each.output_type == "stream" and each.name == "stderr"]


def execute(path: Path, workspace: Path, then: str = "") -> Executed:
    """Runs the notebook in `workspace`, with the Python code `then` as an additional last cell.

    Raises InputError if there is no notebook, RunError if a cell fails.
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
        raise InputError(f"{path} is not a notebook ({error}); expected a .ipynb file") from error


def _snapshots(client: NotebookClient, known: Collection[str], settled: bool = True) -> dict[str, str]:
    """Asks the kernel for the HTML of displayed widgets; the cell that does so is not kept."""
    shown = [output.data[WIDGET]["model_id"] for output in _displayed(client.nb) if WIDGET in output.data]
    if not (ids := [id for id in shown if id not in known]):
        return {}
    source = (
        "import json\nfrom workbench.notebook_pages.snapshot import snapshots\n"
        f"print(json.dumps(snapshots({ids!r}, {settled})))"
    )
    outputs = _execute_last(client, source).outputs
    return dict(json.loads("".join(output.text for output in outputs if output.name == "stdout")))


def _execute_last(client: NotebookClient, source: str) -> NotebookNode:
    """Runs a cell and returns it with its outputs; the notebook stays unchanged."""
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
