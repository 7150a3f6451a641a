"""The learned critic: a small network that ranks unfinished candidates of one prompt, and where it is kept.

It reads what the encoder gives anyway (pooled tokens, the joint feature), the caption's feature and the decoded share,
so it costs no pass of its own. `dream.evaluation.painted.critic_training` trains it on the model's own decodes
(a departure; the idea of an early ranking is that of arXiv 2603.02829). `phrase_critic` has another kind, which learns
from real pictures. A critic belongs to one set of weights.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from dream.decoding.phrase_critic import PhraseCritic
from dream.errors import InputError
from dream.files import check_writable, replace_bytes, replace_text, user_cache
from dream.json_text import read_json_object
from dream.weights.finite import require_finite_weights

if TYPE_CHECKING:
    from dream.decoding.context import DecodeContext
    from dream.decoding.state import DecodeState
    from dream.model.pretrained import Pretrained

FORMAT = "dream critic"
FILE = "critic.safetensors"
"""Next to a model's weights; a JSON of the same name says what it was trained on."""
WIDTH = 48
"""Numbers in which a picture and its caption are compared."""
HIDDEN = 64
"""Width of the layer that weighs them."""
NUMBERS = 3
"""Plain numbers beside the features: cosine, decoded share, and their product."""


class CriticFeatures(NamedTuple):
    """What the critic reads of R partial pictures."""

    pooled: Tensor
    """(R, P): pooled encoder tokens, as the joint space's projection takes them."""
    image: Tensor
    """(R, E): feature of the partial picture, L2-normalised."""
    text: Tensor
    """(R, E): feature of its caption, L2-normalised."""
    share: Tensor
    """(R,): share of the tokens that is decoded."""
    caption_ids: Tensor
    """(R, T) long: the caption's ids, as the text tower reads them."""

    def take(self, rows: Tensor) -> "CriticFeatures":
        """The given rows only."""
        return CriticFeatures(*(values[rows] for values in self))


class Critic(nn.Module):
    """Score (R,) of R partial pictures, given their `CriticFeatures`."""

    def __init__(self, pooled: int, joint: int, width: int = WIDTH, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.about = {"kind": "decodes", "sizes": (pooled, joint, width, hidden)}
        self.norm = nn.LayerNorm(pooled)
        self.picture, self.caption = nn.Linear(pooled, width), nn.Linear(joint, width)
        self.drop = nn.Dropout(0.3)
        self.weigh = nn.Sequential(
            nn.Linear(2 * width + joint + NUMBERS, hidden), nn.SiLU(), nn.Dropout(0.3), nn.Linear(hidden, 1)
        )
        self.cosine = nn.Parameter(torch.tensor(10.0))
        nn.init.zeros_(self.weigh[-1].weight)  # type: ignore[arg-type]

    def forward(self, features: CriticFeatures) -> Tensor:
        """The cosine, scaled, plus what the network makes of the rest; before training it is the cosine's choice."""
        pooled, image, text, share, _ = features
        cosine = (image * text).sum(-1)
        seen = self.picture(self.drop(self.norm(pooled)))
        numbers = torch.stack([cosine, share, cosine * share], -1)
        joint = image * text * image.shape[-1] ** 0.5
        read = torch.cat([seen * self.caption(text), seen, joint, numbers], -1)
        return self.cosine * cosine + self.weigh(read)[:, 0]


AnyCritic: TypeAlias = Critic | PhraseCritic


@torch.no_grad()
def features_of(context: "DecodeContext", state: "DecodeState") -> CriticFeatures:
    """What the critic reads of an encoded state."""
    assert state.encoded is not None
    model, (rows, num_tokens) = context.model, state.mask.shape
    pooled = model.pooled_tokens(state.encoded, state.mask)
    image = nn.functional.normalize(model.joint(pooled), dim=-1)
    share = torch.full((rows,), int((~state.mask[0]).sum()) / num_tokens, device=pooled.device)
    text = context.text
    return CriticFeatures(pooled, image, text.features[state.picture], share, text.ids[state.picture])


def critic_score(context: "DecodeContext", state: "DecodeState") -> Tensor:
    """(R,) the critic's score of an encoded state. Raises InputError if the decode was given no critic."""
    if context.critic is None:
        raise InputError(
            "this model has no critic, so its candidates cannot be compared by the score 'critic': train one with "
            "'dream critic train --model MODEL'"
        )
    with torch.no_grad():
        return context.critic(features_of(context, state))


def own_folder(pretrained: "Pretrained") -> Path:
    """Where a critic of these weights is kept: the folder of the weights, or of a model in the package the cache's."""
    package = Path(__file__).resolve().parents[1]
    if package not in pretrained.path.resolve().parents:
        return pretrained.path
    return user_cache() / "critics" / pretrained.model_id


def critic_path(pretrained: "Pretrained") -> Path | None:
    """The critic's file: the one that was trained here, otherwise one that came with the model; None if there is none.

    A critic of other weights, as after more training, counts as none.
    """
    for folder in dict.fromkeys((own_folder(pretrained), pretrained.path)):
        path = folder / FILE
        if path.is_file() and about_critic(path).get("model_id") == pretrained.model_id:
            return path
    return None


def about_critic(path: Path) -> dict[str, Any]:
    """What the JSON next to a critic says. Raises InputError if it is missing or damaged."""
    try:
        tree = read_json_object(path.with_suffix(".json"))
        if tree.get("format") != FORMAT:
            raise InputError(f"its format is {tree.get('format')}")
        return tree
    except (OSError, InputError) as error:
        raise InputError(f"the critic {path} is damaged ({error}): train it again with 'dream critic train'") from error


def save_critic(critic: AnyCritic, about: dict[str, Any], folder: Path) -> Path:
    """Writes the critic into a folder, weights last replaced, and returns its path. Raises InputError if it cannot."""
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    kept = critic.half() if isinstance(critic, PhraseCritic) else critic  # a vector per phrase: 2 MB instead of 4
    content = save({name: tensor.contiguous() for name, tensor in kept.state_dict().items()})
    critic.float()
    tree = {"format": FORMAT, **about, **critic.about, "sha256": hashlib.sha256(content).hexdigest()}
    replace_text(path.with_suffix(".json"), json.dumps(tree) + "\n")
    replace_bytes(path, content)
    return path


def load_critic(path: Path) -> AnyCritic:
    """The critic at a path, in eval mode. Raises InputError if it is damaged."""
    about = about_critic(path)
    try:
        critic = _built(about)
        content = path.read_bytes()
        if about.get("sha256") not in (None, hashlib.sha256(content).hexdigest()):
            raise KeyError("its weights are not those that its JSON describes")
        weights = load(content)
        require_finite_weights(weights, str(path))
        critic.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the critic {path} is damaged ({reason}): train it again with 'dream critic train'"
        ) from error
    return critic.eval().requires_grad_(False)


def _built(about: dict[str, Any]) -> AnyCritic:
    if about.get("kind") == "phrases":
        return PhraseCritic(about["pooled"], about["phrases"], about["separators"], about["end"])
    return Critic(*about["sizes"])


def critic_for(pretrained: "Pretrained") -> AnyCritic:
    """The critic of a model. Raises InputError if there is none."""
    path = critic_path(pretrained)
    if path is None:
        raise InputError(
            f"the model {pretrained.path} has no critic of these weights: train one with 'dream critic train --model "
            f"{pretrained.path}', or choose another --score"
        )
    return load_critic(path)
