"""Batches on their way from a loader's workers: in shared memory that is used again and again.

Left to itself, torch makes new shared memory for every tensor. Its pages are new to the worker and to the receiver, and
that costs ten times what copying into them does. Here a worker keeps a few blocks; one is written again only when the
last tensor that the receiver was given of it is gone.
"""

import io
import multiprocessing
import os
import pickle
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Outbox"]

ALIGNMENT = 64  # bytes: where a tensor may begin
ROOM = 1.25  # times the bytes that are wanted: the next batch may be a little larger
# Blocks that workers wrote, by worker and address: kept here, they stay mapped.
_received: dict[tuple[int, int], Tensor] = {}

_Place = tuple[int, torch.dtype, torch.Size]  # first byte, dtype and shape of a tensor in a block


class Outbox:
    """A worker's blocks of shared memory. The last byte of each says whether the receiver still holds tensors in it.

    Args:
        most: blocks; where the receiver holds all of them, a batch is sent as torch would send it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._blocks: list[Tensor] = []

    def pack(self, content: Any) -> Any:
        """What to put into a queue instead of `content`; what comes out of the queue is `content` again."""
        tensors: list[Tensor] = []
        pickled = _take_out(content, tensors)
        places, size = _lay_out(tensors)
        block = self._free_block(size)
        if block is None:
            return content
        for tensor, (start, _, _) in zip(tensors, places, strict=True):
            block[start : start + tensor.nbytes].copy_(tensor.contiguous().view(-1).view(torch.uint8))
        block[-1] = 1
        return _Parcel(pickled, block, places)

    def _free_block(self, size: int) -> Tensor | None:
        free = [block for block in self._blocks if not block[-1]]
        for block in free:
            if len(block) > size:
                return block
        if len(self._blocks) == self._most:
            if not free:
                return None
            self._blocks = [block for block in self._blocks if block is not free[0]]  # too small by now
        made = torch.zeros(int(size * ROOM) + ALIGNMENT, dtype=torch.uint8)
        made.share_memory_()  # type: ignore[no-untyped-call]
        self._blocks.append(made)
        return made


class _Parcel:
    """A batch in a block; unpickles as the batch."""

    def __init__(self, pickled: bytes, block: Tensor, places: list[_Place]) -> None:
        self._content = (pickled, block, places, os.getpid())

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, self._content


class _Lease:
    """The receiver's hold on a block: given back with the last of its tensors."""

    def __init__(self, block: Tensor, tensors: int) -> None:
        self._block = block
        self._left = tensors
        self._lock = threading.RLock()  # a collection of garbage inside may let another tensor go

    def drop(self) -> None:
        """One tensor is gone."""
        with self._lock:
            self._left -= 1
            if not self._left:
                self._block[-1] = 0


def _open(pickled: bytes, block: Tensor, places: Sequence[_Place], worker: int) -> Any:
    block = _keep(block, worker)
    lease = _Lease(block, len(places) + 1)
    whole = block.numpy()
    tensors = []
    for start, dtype, shape in places:
        # its memory belongs to this array, which lives as long as any view of the tensor
        array = whole[start : start + shape.numel() * dtype.itemsize]
        weakref.finalize(array, lease.drop).atexit = False
        tensors.append(torch.from_numpy(array).view(dtype).view(shape))
    content = _Unpickler(io.BytesIO(pickled), tensors).load()
    lease.drop()
    return content


def _keep(block: Tensor, worker: int) -> Tensor:
    key = (worker, block.data_ptr())
    if key not in _received:
        alive = {process.pid for process in multiprocessing.active_children()} | {worker}
        for gone in [known for known in _received if known[0] not in alive]:
            del _received[gone]
        _received[key] = block
    return _received[key]


def _lay_out(tensors: Sequence[Tensor]) -> tuple[list[_Place], int]:
    """A place for each tensor, and the bytes of all."""
    places, end = [], 0
    for tensor in tensors:
        places.append((end, tensor.dtype, tensor.shape))
        end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
    return places, end


def _take_out(content: Any, tensors: list[Tensor]) -> bytes:
    """Pickle everything but the tensors, which are appended to `tensors`."""
    out = io.BytesIO()
    _Pickler(out, tensors).dump(content)
    return out.getvalue()


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._tensors = tensors

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not Tensor or obj.device.type != "cpu" or obj.layout != torch.strided or obj.requires_grad:
            return None
        self._tensors.append(obj)
        return len(self._tensors) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickled: io.BytesIO, tensors: Sequence[Tensor]) -> None:
        super().__init__(pickled)
        self._tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        return self._tensors[number]
