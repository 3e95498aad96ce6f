"""What devices can do at most, to say what share of it a run uses."""

import torch

__all__ = ["peak_flops"]

# Dense half-precision products with float32 sums, operations a second, by the name that CUDA gives the device:
# NVIDIA's data sheets. The more telling names come first.
HALF_PRECISION = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "GH200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "V100": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Floating-point operations a second of one device; None where it is not known, as of processors.

    Args:
        device: of the run.
        precision: `fp32`, `bf16` or `fp16`.
    """
    if device.type != "cuda" or precision == "fp32":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in HALF_PRECISION.items() if known in name), None)
