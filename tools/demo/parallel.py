"""Several GPUs, one process each, as torchrun starts them; or one process alone. Gradients are averaged in one piece."""

import os

import torch
import torch.distributed as dist


class Team:
    def __init__(self):
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.size > 1:
            # Everybody sees one GPU only, under the same number: else the others could not use the code compiled for the first.
            local = int(os.environ["LOCAL_RANK"])
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[local] if visible else str(local)
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", 0) if cuda else torch.device("cpu")
        if self.size > 1:
            dist.init_process_group("nccl" if cuda else "gloo", **({"device_id": self.device} if cuda else {}))

    def same_weights(self, module):
        """Everybody takes over the first one's weights."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def average_gradients(self, parameters):
        if self.size > 1:
            gradients = [p.grad for p in parameters if p.grad is not None]
            flat = torch.cat([g.flatten() for g in gradients])
            dist.all_reduce(flat)
            flat /= self.size
            torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(flat.split([g.numel() for g in gradients]), gradients)])

    def from_first(self, *numbers: float) -> list[float]:
        """The first one's numbers, for everybody. Waits for the device."""
        values = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.broadcast(values, 0)
        return values.tolist()

    def end(self):
        if self.size > 1:
            dist.destroy_process_group()
