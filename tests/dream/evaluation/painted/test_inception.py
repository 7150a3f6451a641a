"""The FID Inception: its resize by hand, its blocks against torchvision's, and its weights files."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from dream.errors import InputError
from dream.evaluation.painted.inception import Inception, load_inception, resize_tf1
from dream.randomness import generator


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        found = Inception().eval().requires_grad_(False)
    draws = generator("inception test")
    for name, buffer in found.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=draws)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=draws)
    return found


@pytest.fixture(scope="module")
def tensors(network):
    return {n: t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}


def test_resize_reads_pixels_at_their_corners_as_tensorflow_1_did():
    line = torch.tensor([0.0, 10.0, 40.0]).view(1, 1, 1, 3)
    grown = resize_tf1(line.expand(1, 1, 3, 3), 6)  # read at 0, 0.5, 1, 1.5, 2, 2.5; none beyond the last
    assert grown[0, 0, 0].tolist() == [0, 5, 10, 25, 40, 40]
    assert torch.equal(grown[0, 0, 5], grown[0, 0, 0])
    table = torch.arange(16.0).view(1, 1, 4, 4)
    assert resize_tf1(table, 2)[0, 0].tolist() == [[0, 2], [8, 10]]  # every second pixel, unsmoothed
    assert torch.equal(resize_tf1(table, 4), table)
    thirds = resize_tf1(table, 3)[0, 0]  # read at 0, 4/3, 8/3 along both
    torch.testing.assert_close(thirds[1], torch.tensor([16 / 3, 20 / 3, 8.0]))


def test_resize_goes_over_lines_and_columns_alike():
    picture = torch.rand(2, 3, 17, 9, generator=generator("resize test"))
    assert resize_tf1(picture, 12).shape == (2, 3, 12, 12)
    torch.testing.assert_close(resize_tf1(picture.mT, 12), resize_tf1(picture, 12).mT)


def test_blocks_are_torchvisions_but_for_pooling(network, tensors):
    from torchvision.models import inception_v3

    other = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).eval()
    named = {name for name in other.state_dict() if not name.endswith("num_batches_tracked")}
    assert named == set(tensors)
    other.load_state_dict(tensors, strict=False)
    draws, inside = generator("blocks test"), (..., slice(1, -1), slice(1, -1))
    for name, block in network.named_children():
        if name == "fc":
            continue
        width = next(block.parameters()).shape[1]
        x = torch.rand(1, width, 9, 9, generator=draws)
        ours, theirs = block(x), getattr(other, name)(x)
        if name == "Mixed_7c":  # its last branch pools by maximum
            assert not torch.allclose(ours[:, -192:], theirs[:, -192:])
            ours, theirs = ours[:, :-192], theirs[:, :-192]
        torch.testing.assert_close(ours[inside], theirs[inside])  # only pooling knows of the border


def test_mean_pooling_leaves_the_padding_out(network):
    ones = torch.ones(1, 192, 5, 5)
    pooled = network.Mixed_5b.branch_pool(ones)
    torch.testing.assert_close(network.Mixed_5b(ones)[:, -32:], pooled)
    assert not torch.allclose(F.avg_pool2d(ones, 3, 1, 1), ones)


def test_weights_come_from_either_format_and_give_features_and_classes(network, tensors, tmp_path):
    save_file(tensors, tmp_path / "inception.safetensors")
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    images = torch.randint(0, 256, (2, 3, 30, 40), dtype=torch.uint8, generator=generator("pictures"))
    outputs = [load_inception(tmp_path / f"inception.{end}").outputs(images) for end in ("safetensors", "pth")]
    assert outputs[0].features.shape == (2, 2048) and outputs[0].probabilities.shape == (2, 1008)
    assert torch.equal(outputs[0].features, outputs[1].features)
    torch.testing.assert_close(outputs[0].probabilities.sum(1), torch.ones(2))
    logits = outputs[0].features @ network.fc.weight.T  # the Inception Score's: without the bias
    torch.testing.assert_close(outputs[0].probabilities, logits.softmax(1))


def test_files_that_are_no_inception_are_refused_by_name(tensors, tmp_path):
    other = {name: t for name, t in tensors.items() if name != "fc.bias"}
    other["AuxLogits.fc.weight"] = torch.zeros(3)
    other["fc.weight"] = torch.zeros(1000, 2048)
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"missing: fc\.bias; unexpected: AuxLogits\.fc\.weight; .*fc\.weight"):
        load_inception(tmp_path / "other.safetensors")
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"Conv2d_1a_3x3\.bn\.bias, .* and \d+ more"):
        load_inception(tmp_path / "x.pth")
    with pytest.raises(InputError, match="there is no Inception weights file"):
        load_inception(tmp_path / "nothing.pth")
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        load_inception(tmp_path / "bad.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="does not hold a dictionary of tensors"):
        load_inception(tmp_path / "list.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"fc.bias": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="cannot be read"):
        load_inception(tmp_path / "trap.pth")
    assert not (tmp_path / "made").exists()
