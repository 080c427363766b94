"""The learned optimizer over a run, and the way back through it, in place.

Every operation writes into a buffer that is there. Components stand side by side, a column each, so
that z and r, or the state without what stands below it, are one stretch of memory. Below the state
stand the input and a one, so that weights, input weights and biases are one matrix, and so are
their adjoints. The axis before all others is that of the sets of weights, each with its own
components.
"""

import threading
from collections.abc import Mapping

import torch
from torch import Tensor

sigmoid_back = torch.ops.aten.sigmoid_backward.grad_input
"""(to_y, y, grad_input=out): out = to_y · y (1 − y)"""
tanh_back = torch.ops.aten.tanh_backward.grad_input
"""(to_y, y, grad_input=out): out = to_y · (1 − y²)"""

_kept_buffers = threading.local()


def _buffers(
    n_sets: int, n_steps: int, n: int, n_units: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """[h; g; 1], (z; r) and c of every step, not yet written, but for the ones.

    The last ones made are handed out again when the same are wanted: the system takes as long to
    give fresh memory as an outer step does to compute half of what goes into it. A tape is
    therefore used up before the next one of its size is begun.
    """
    wanted = (n_sets, n_steps, n, n_units, dtype, device)
    if getattr(_kept_buffers, "made_for", None) != wanted:
        made = [
            torch.ones(n_sets, steps, height, n, dtype=dtype, device=device)
            for steps, height in (
                (n_steps + 1, n_units + 2),
                (n_steps, 2 * n_units),
                (n_steps, n_units),
            )
        ]
        _kept_buffers.buffers, _kept_buffers.made_for = tuple(made), wanted
    buffers: tuple[Tensor, ...] = _kept_buffers.buffers
    return buffers


class Tape:
    """Some consecutive steps of several GRUs side by side: taken forwards, then backwards.

    Attributes:
        n_steps: how many.
        to_state: the adjoint of the state; after `back(k)` that of the state before step k.
    """

    def __init__(
        self,
        p: Mapping[str, Tensor],
        constants: Mapping[str, float],
        state: Tensor,
        n_steps: int,
    ) -> None:
        n_sets, n, n_units = state.shape
        self.n_steps = n_steps
        self.input_scale = constants["input_scale"]
        self.output_scale = constants["output_scale"]
        self.w = self.output_scale * p["w"].unsqueeze(2)
        self.b = self.output_scale * p["b"].view(n_sets, 1, 1)
        # M = [W | input_scale · a | b], and what it is multiplied with is [h; g; 1].
        M_z, M_r, self.M_c = (
            torch.cat(
                [
                    p[f"W_{k}"],
                    self.input_scale * p[f"a_{k}"].unsqueeze(2),
                    p[f"b_{k}"].unsqueeze(2),
                ],
                dim=2,
            )
            for k in "zrc"
        )
        self.M_zr = torch.cat([M_z, M_r], dim=1)
        h, zr, c = _buffers(n_sets, n_steps, n, n_units, state.dtype, state.device)
        h[:, 0, :n_units] = state.mT
        reset = h.new_ones(n_sets, n_units + 2, n)
        # [r ∘ h; g; 1] of the step at hand: to make it again is quicker than to fetch it.
        self.reset, self.rh, self.g_again = reset, reset[:, :n_units], reset[:, n_units]
        self.reset_T, self.w_T = reset.mT, self.w.mT
        # Lists of views, by step: taking one out of a tensor costs as much as a small product.
        self.zr, self.c = zr.unbind(1), c.unbind(1)
        self.rows, self.rows_T = h.unbind(1), h.mT.unbind(1)
        self.states, self.g = h[:, :, :n_units].unbind(1), h[:, :, n_units].unbind(1)
        self.z, self.r = zr[:, :, :n_units].unbind(1), zr[:, :, n_units:].unbind(1)

    def forward(self, k: int, gradient: Tensor) -> Tensor:
        """Step k; returns the update, (n_sets, n_components), as the gradient is."""
        # With s = input_scale · g, whose scale is in M:
        # z, r = sigmoid(W h + a s + b);  c = tanh(W (r ∘ h) + a s + b);  h' = z ∘ h + (1 − z) ∘ c
        self.g[k].copy_(gradient)
        self.g_again.copy_(gradient)
        torch.bmm(self.M_zr, self.rows[k], out=self.zr[k]).sigmoid_()
        torch.mul(self.r[k], self.states[k], out=self.rh)
        torch.bmm(self.M_c, self.reset, out=self.c[k]).tanh_()
        torch.lerp(self.c[k], self.states[k], self.z[k], out=self.states[k + 1])
        return torch.baddbmm(self.b, self.w_T, self.states[k + 1]).squeeze(1)

    def state(self, k: int) -> Tensor:
        """The state before step k, (n_sets, n_components, n_units)."""
        return self.states[k].mT

    def start_back(self, to_state: Tensor) -> None:
        """Begin the way back.

        Args:
            to_state: the adjoint of the last state, (n_sets, n_components, n_units).
        """
        n_sets, n, n_units = to_state.shape
        self.to_h = to_state.new_empty(n_sets, n_units + 2, n)
        self.to_new, self.to_g = self.to_h[:, :n_units], self.to_h[:, n_units]
        self.to_new.copy_(to_state.mT)
        self.to_state = self.to_new.mT
        self.to_reset = torch.empty_like(self.to_h)
        self.to_rh, self.to_g_again = self.to_reset[:, :n_units], self.to_reset[:, n_units]
        self.before_zr = to_state.new_empty(n_sets, 2 * n_units, n)
        self.keep, self.rest, self.before_c = (
            to_state.new_empty(n_sets, n_units, n) for _ in range(3)
        )
        self.to_zr = torch.empty_like(self.before_zr)
        self.to_z, self.to_r = self.to_zr.chunk(2, dim=1)
        self.to_M_zr, self.to_M_c = torch.zeros_like(self.M_zr), torch.zeros_like(self.M_c)
        # Of [w; 0; b]ᵀ, that is: what stands at the input's place means nothing.
        self.to_wb = to_state.new_zeros(n_sets, 1, n_units + 2)
        self.M_zr_T, self.M_c_T = self.M_zr.mT.contiguous(), self.M_c.mT.contiguous()

    def back(self, k: int, to_update: Tensor) -> Tensor:
        """Back through step k; returns the adjoint of its gradient, (n_sets, n_components).

        Until the next one goes back, which writes into the same buffer.

        Args:
            k: the step; `start_back` or step k + 1 was before it.
            to_update: the adjoint of its update, (n_sets, n_components).
        """
        state, z, r, c, to_new = self.states[k], self.z[k], self.r[k], self.c[k], self.to_new
        to_update = to_update.unsqueeze(1)
        self.to_wb.baddbmm_(to_update, self.rows_T[k + 1])
        # to_new += output_scale · w to_updateᵀ
        to_new.addcmul_(self.w, to_update)
        # to_z = to_new (h − c)
        torch.sub(state, c, out=self.to_z).mul_(to_new)
        # before_c = to_new (1 − z) · (1 − c²)
        torch.mul(to_new, z, out=self.keep)
        tanh_back(torch.sub(to_new, self.keep, out=self.rest), c, grad_input=self.before_c)
        # to_r = (W_cᵀ before_c) h, and before_z, before_r = to_z z (1 − z), to_r r (1 − r)
        torch.bmm(self.M_c_T, self.before_c, out=self.to_reset)
        torch.mul(self.to_rh, state, out=self.to_r)
        sigmoid_back(self.to_zr, self.zr[k], grad_input=self.before_zr)
        # to_h = to_new z + (W_cᵀ before_c) r + W_zrᵀ before_zr, and to_g below it
        torch.addcmul(self.keep, self.to_rh, r, out=to_new)
        self.to_g.copy_(self.to_g_again)
        self.to_h.baddbmm_(self.M_zr_T, self.before_zr)

        self.to_M_zr.baddbmm_(self.before_zr, self.rows_T[k])
        torch.mul(r, state, out=self.rh)
        self.g_again.copy_(self.g[k])
        self.to_M_c.baddbmm_(self.before_c, self.reset_T)
        return self.to_g

    def adjoints(self) -> dict[str, Tensor]:
        """The adjoints of the parameters but h0, once all steps were gone back through."""
        to_z, to_r = self.to_M_zr.chunk(2, dim=1)
        to_wb = self.output_scale * self.to_wb.squeeze(1)
        found = {"w": to_wb[:, :-2], "b": to_wb[:, -1]}
        for gate, M in (("z", to_z), ("r", to_r), ("c", self.to_M_c)):
            found |= {f"W_{gate}": M[..., :-2], f"b_{gate}": M[..., -1]}
            found[f"a_{gate}"] = self.input_scale * M[..., -2]
        return found
