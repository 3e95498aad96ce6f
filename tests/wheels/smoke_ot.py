"""uniter-ot on torch alone: a loss and its gradient."""

import torch

from uniter_ot import alignment_loss

words = torch.randn(2, 5, 8, requires_grad=True)
distances = alignment_loss(words, torch.randn(2, 3, 8))
distances.sum().backward()
assert words.grad is not None
assert words.grad.isfinite().all()
print(f"alignment_loss: {distances.shape[0]} distances")
