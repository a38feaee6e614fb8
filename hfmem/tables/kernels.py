"""
Implementations of norms, blocks and adapters as rows: what each keeps for the backward pass.

Sources: modeling_llama.py of transformers (eager); liger_kernel/ops/{rms_norm,swiglu}.py; unsloth/kernels/{rms_layernorm,
fast_lora}.py, the same as those of fms-acceleration's foak; for torch.compile the tensors its min-cut partitioner keeps,
which gives 0.70 of eager for Llama-2-7B where torchtitan and torchtune runs measured 0.70 to 0.77.
"""

from __future__ import annotations

from typing import NamedTuple


class Kernels(NamedTuple):
    """Eager code copies a norm's input to float32 and keeps the activation's output; kernels recompute both."""

    norm_keeps_input: bool = False
    recomputes_activation: bool = False
    backward_in_place: bool = False  # gradients of gate and up overwrite gate and up
    fused_adapters: bool = False  # modules that read one input share it, and intermediate products are recomputed


KERNELS: dict[str, Kernels] = {
    "eager": Kernels(),
    "liger": Kernels(norm_keeps_input=True, recomputes_activation=True, backward_in_place=True),
    "unsloth": Kernels(norm_keeps_input=True, fused_adapters=True),
    "compile": Kernels(norm_keeps_input=True, recomputes_activation=True),
}
