"""Names of the settings that say how noise becomes a token. Nothing here imports torch, as commands list them."""

DENOISING = (
    "sampling_steps",
    "last_sampling_steps",
    "solver",
    "time_shift",
    "start_time",
    "guidance_low",
    "guidance_high",
)
"""Fields of `DecodeSettings`, besides temperature and guidance."""
