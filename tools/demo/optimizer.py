"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024), scaled as in Moonlight so that AdamW's rates carry over.
Matrices of one shape are orthogonalised together: the transformer has a hundred small ones."""

import torch


def orthogonal(updates: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrices; updates [n,rows,columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = updates.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.02):
        by_shape = {}
        for parameter in parameters:
            by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
        super().__init__([{"params": group} for group in by_shape.values()], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            gradient = torch.stack([p.grad for p in parameters])
            state = self.state[parameters[0]]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            average = state["momentum"].lerp_(gradient, 1 - group["momentum"])
            update = orthogonal(gradient.lerp(average, group["momentum"])).to(gradient.dtype)
            scale = 0.2 * max(gradient.shape[1:]) ** 0.5 * group["lr"]
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, list(update.unbind()), alpha=-scale)
