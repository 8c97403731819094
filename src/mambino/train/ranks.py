"""Training in several processes (torchrun): who has which rows, divided or equal weights, sums over all.

One process is the case of size 1, so the loop has no second version. Start at Ranks.from_environment.
"""

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed

# Before any group: its functions' defaults hold the one there is when it is imported (torch.optim does it), and the
# threads of a group that is held outlive Python and abort it.
import torch.distributed.nn

from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch

_CPU = torch.device("cpu")


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among all that train one model."""

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU  # where this process computes, among several

    @classmethod
    def from_environment(cls) -> "Ranks":
        """Join the processes that torchrun started; a process alone is rank 0 of 1.

        Mutates    the process group, until the process ends; CUDA's current device, which becomes LOCAL_RANK's
        """
        if "RANK" not in os.environ:
            return cls()
        device, backend = _CPU, "gloo"
        if torch.cuda.is_available():
            # Without this all processes of a machine would share its first GPU.
            device, backend = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))), "cpu:gloo,cuda:nccl"
            torch.cuda.set_device(device)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group(backend)
            atexit.register(_leave)
        return cls(rank=torch.distributed.get_rank(), size=torch.distributed.get_world_size(), device=device)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def shard(self, model: HybridLM) -> None:
        """Divide every layer's weights among the processes (FSDP2). Mutates model; make its optimizer afterwards."""
        if self.size > 1:
            # A second of imports that one process does not need.
            from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

            for block in model.layers:
                fully_shard(block)
            fully_shard(model)
            for entrance in ("hidden", "head"):  # losses call these, too
                register_fsdp_forward_method(model, entrance)

    def replicate(self, model: HybridLM) -> None:
        """Keep all weights in every process and average gradients as they form: for losses that slice whole weights.

        All processes hold equal weights, and use the same of them in every step.
        Mutates    model: it moves to device, and its gradients are everybody's from here on
        """
        if self.size > 1:
            model.to(self.device)
            for parameter in model.parameters():
                parameter.register_post_accumulate_grad_hook(self._average)  # type: ignore[no-untyped-call]

    def _average(self, parameter: torch.Tensor) -> None:
        """Right after every pass of a step: what earlier passes left there is the same for all."""
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad.div_(self.size)

    def own(self, batch: Batch) -> Batch:
        """The rows of this process. Raises InputError unless all have equally many."""
        rows = len(batch.tokens_BT)
        if rows % self.size:
            raise InputError(f"[train] {rows} rows do not divide among {self.size} processes; take a multiple")
        place = slice(self.rank, None, self.size)
        return Batch(
            tokens_BT=batch.tokens_BT[place], targets_BT=batch.targets_BT[place], resets_BT=batch.resets_BT[place]
        )

    def total(self, value: float) -> float:
        """The sum over all processes."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(shared)
        return float(shared)

    def any(self, flag: bool) -> bool:
        """Whether any process says so: all of them then do the same."""
        return self.total(float(flag)) > 0


def whole(value: torch.Tensor) -> torch.Tensor:
    """The full tensor of a sharded one; other tensors as they are."""
    if not torch.distributed.is_initialized():
        return value
    from torch.distributed.tensor import DTensor

    full: torch.Tensor = value.full_tensor() if isinstance(value, DTensor) else value
    return full


def sharded_like(full: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The part of a full tensor that goes with this process's part of a parameter; all of it if nothing is sharded."""
    if not torch.distributed.is_initialized():
        return full
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(parameter, DTensor):
        return full
    return distribute_tensor(full, parameter.device_mesh, parameter.placements, src_data_rank=None)
