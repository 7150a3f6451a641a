"""The type in which frozen models run: VAE and T5 need no gradients, and half the bytes are twice the speed."""

import torch


def frozen_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a CUDA device that has it, else float32."""
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
