"""The student: a model whose `flow` head reproduces a teacher's guided trajectories in S Euler steps."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.decoding.solvers import flow_grid
from dream.distilling.teacher import Conditions
from dream.model.diffusion_head import DiffusionHead
from dream.model.dream import Dream
from dream.model.pretrained import Pretrained


def student_config(config: DreamConfig, steps: int, folded: bool) -> DreamConfig:
    """The teacher's configuration with a `flow` head of `steps` denoising steps.

    With guidance `folded` into the head, decoding is without.
    """
    decode = replace(config.decode, guidance_scale=1.0) if folded else config.decode
    if config.head.objective == "noise":
        decode = replace(decode, temperature=1.0)
    return replace(config, head=replace(config.head, objective="flow", sampling_steps=steps), decode=decode)


def build_student(teacher: Pretrained, config: DreamConfig) -> Dream:
    """A model with the teacher's weights; the last layer of a `noise` head's successor starts at zero."""
    with torch.random.fork_rng(devices=[]):
        student = Dream(config)
    weights, own = teacher.model.state_dict(), student.state_dict()
    student.load_state_dict(
        {name: weights[name] if weights[name].shape == own[name].shape else own[name] for name in own}
    )
    return student.eval()


class FewSteps(nn.Module):
    """The head that is trained: predicts the clean token at the times of its S Euler steps."""

    def __init__(self, head: DiffusionHead, steps: int) -> None:
        super().__init__()
        self.head, self.steps = head, steps
        self.grid = flow_grid(steps).tolist()

    def forward(self, given: Conditions, states: Tensor) -> Tensor:
        """Loss () of the trajectories `states` (S+1, M, D_tok): mean square error of the predicted clean tokens.

        The target at a time is the clean token towards which one Euler step leads to the next state.
        """
        losses, projected = [], self._projected(given)
        for number in range(self.steps):
            now, then = self.grid[number], self.grid[number + 1]
            target = states[number] + (1 - now) / (then - now) * (states[number + 1] - states[number])
            losses.append(F.mse_loss(self._clean(given, projected, states[number], now), target))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def ends(self, given: Conditions, start: Tensor) -> Tensor:
        """(M, D_tok): the tokens to which the head's own S steps lead from `start` (M, D_tok)."""
        noised, projected = start, self._projected(given)
        for now, then in zip(self.grid, self.grid[1:], strict=False):
            noised = noised + (then - now) / (1 - now) * (self._clean(given, projected, noised, now) - noised)
        return noised

    def _projected(self, given: Conditions) -> list[Tensor]:
        """The head's projection of each half, the same at all times."""
        return [self.head.project(half) for half in given.condition]

    def _clean(self, given: Conditions, projected: list[Tensor], noised: Tensor, time: float) -> Tensor:
        embedded = self.head.embed_times(noised.new_tensor(time))
        halves = [self.head.predict(noised, embedded, half) for half in projected]
        return halves[0] if len(halves) == 1 else halves[1] + given.guidance * (halves[0] - halves[1])
