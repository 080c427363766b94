"""The learned optimizer over a run, and the way back through it, in place.

Every operation writes into a buffer that is there. The input and a one stand beside the state, as
columns, so that weights, input weights and biases are one matrix, and so are their adjoints.
"""

import threading
from collections.abc import Mapping

import torch
from torch import Tensor

sigmoid_back = torch.ops.aten.sigmoid_backward.grad_input
"""(to_y, y, grad_input=out): out = to_y · y (1 − y)"""
tanh_back = torch.ops.aten.tanh_backward.grad_input
"""(to_y, y, grad_input=out): out = to_y · (1 − y²)"""

BLOCK = 32
"""Of how many steps the adjoints of the weights are added up at once."""

_kept_buffers = threading.local()


def _buffers(
    n_steps: int, n: int, n_units: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """[h, s, 1], [r ∘ h, s, 1], (z, r) and c of every step, not yet written, but for the ones.

    The last ones made are handed out again when the same are wanted: the system takes as long to
    give fresh memory as an outer step does to compute half of what goes into it. A tape is
    therefore used up before the next one of its size is begun.
    """
    wanted = (n_steps, n, n_units, dtype, device)
    if getattr(_kept_buffers, "made_for", None) != wanted:
        made = [
            torch.ones(steps, n, width, dtype=dtype, device=device)
            for steps, width in (
                (n_steps + 1, n_units + 2),
                (n_steps, n_units + 2),
                (n_steps, 2 * n_units),
                (n_steps, n_units),
            )
        ]
        _kept_buffers.buffers, _kept_buffers.made_for = tuple(made), wanted
    buffers: tuple[Tensor, ...] = _kept_buffers.buffers
    return buffers


class Tape:
    """Some consecutive steps of a GRU: taken forwards, then backwards.

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
        n, n_units = state.shape
        self.n_steps = n_steps
        self.input_scale = constants["input_scale"]
        self.output_scale = constants["output_scale"]
        self.w, self.b = self.output_scale * p["w"], self.output_scale * p["b"]
        # M = [W | a | b], and what it is multiplied with is [h, s, 1].
        M_z, M_r, self.M_c = (
            torch.cat([p[f"W_{k}"], p[f"a_{k}"].unsqueeze(1), p[f"b_{k}"].unsqueeze(1)], dim=1)
            for k in "zrc"
        )
        self.M_zr = torch.cat([M_z, M_r])
        self.M_zr_T, self.M_c_T = self.M_zr.T.contiguous(), self.M_c.T.contiguous()
        h, rh, zr, c = _buffers(n_steps, n, n_units, state.dtype, state.device)
        h[0, :, :n_units] = state
        # Lists of views, by step: taking one out of a tensor costs as much as a small product.
        self.h, self.rh, self.zr, self.c = h, rh, zr.unbind(), c.unbind()
        self.rows, self.reset_rows = h.unbind(), rh.unbind()
        self.states, self.resets = h[:, :, :n_units].unbind(), rh[:, :, :n_units].unbind()
        self.s, self.s_again = h[:, :, n_units].unbind(), rh[:, :, n_units].unbind()
        self.z, self.r = zr[:, :, :n_units].unbind(), zr[:, :, n_units:].unbind()

    def forward(self, k: int, gradient: Tensor) -> Tensor:
        """Step k; returns the update, (n_components,)."""
        # z, r = sigmoid(W h + a s + b);  c = tanh(W (r ∘ h) + a s + b);  h' = z ∘ h + (1 − z) ∘ c
        torch.mul(gradient, self.input_scale, out=self.s[k])
        self.s_again[k].copy_(self.s[k])
        torch.mm(self.rows[k], self.M_zr_T, out=self.zr[k]).sigmoid_()
        torch.mul(self.r[k], self.states[k], out=self.resets[k])
        torch.mm(self.reset_rows[k], self.M_c_T, out=self.c[k]).tanh_()
        torch.lerp(self.c[k], self.states[k], self.z[k], out=self.states[k + 1])
        return torch.addmv(self.b, self.states[k + 1], self.w)

    def state(self, k: int) -> Tensor:
        """The state before step k, (n_components, n_units)."""
        return self.states[k]

    def start_back(self, to_state: Tensor) -> None:
        """Begin the way back.

        Args:
            to_state: the adjoint of the last state, (n_components, n_units).
        """
        n, n_units = to_state.shape
        self.to_h = to_state.new_empty(n, n_units + 2)
        self.to_state, self.to_s = self.to_h[:, :n_units], self.to_h[:, n_units]
        self.to_state.copy_(to_state)
        self.to_rh = torch.empty_like(self.to_h)
        self.before_zr = to_state.new_empty(BLOCK, n, 2 * n_units)
        self.before_z, self.before_r = (gate.unbind() for gate in self.before_zr.chunk(2, dim=2))
        self.before_c = to_state.new_empty(BLOCK, n, n_units)
        self.to_update = to_state.new_empty(BLOCK, n)
        self.keep, self.rest = torch.empty_like(to_state), torch.empty_like(to_state)
        self.to_M_zr, self.to_M_c = torch.zeros_like(self.M_zr), torch.zeros_like(self.M_c)
        self.to_w, self.to_b = torch.zeros_like(self.w), torch.zeros_like(self.b)

    def back(self, k: int, to_update: Tensor) -> Tensor:
        """Back through step k; returns the adjoint of its gradient, (n_components,).

        Args:
            k: the step; `start_back` or step k + 1 was before it.
            to_update: the adjoint of its update, (n_components,).
        """
        state, z, r, c = self.states[k], self.z[k], self.r[k], self.c[k]
        i = k % BLOCK
        before_zr, before_c = self.before_zr[i], self.before_c[i]
        to_new, to_rh = self.to_state, self.to_rh[:, :-2]
        self.to_update[i] = to_update
        # to_new += output_scale · to_update wᵀ
        to_new.addr_(to_update, self.w)
        # before_z = to_new (h − c) · z (1 − z)
        torch.sub(state, c, out=self.rest).mul_(to_new)
        sigmoid_back(self.rest, z, grad_input=self.before_z[i])
        # before_c = to_new (1 − z) · (1 − c²)
        torch.mul(to_new, z, out=self.keep)
        tanh_back(torch.sub(to_new, self.keep, out=self.rest), c, grad_input=before_c)
        # before_r = (before_c W_c) h · r (1 − r)
        torch.mm(before_c, self.M_c, out=self.to_rh)
        sigmoid_back(torch.mul(to_rh, state, out=self.rest), r, grad_input=self.before_r[i])
        # to_h = to_new z + (before_c W_c) r + before_zr W_zr, and to_s beside it
        torch.addcmul(self.keep, to_rh, r, out=self.to_state)
        self.to_s.copy_(self.to_rh[:, -2])
        self.to_h.addmm_(before_zr, self.M_zr)

        if i == 0:
            self._add_up(k, min(BLOCK, self.n_steps - k))
        return self.input_scale * self.to_s

    def _add_up(self, first: int, n: int) -> None:
        """Add the adjoints of n steps to those of the weights, in one product each."""

        def rows(of_steps: Tensor) -> Tensor:
            return of_steps.flatten(end_dim=1)

        now, then = slice(first, first + n), slice(first + 1, first + n + 1)
        self.to_M_zr.addmm_(rows(self.before_zr[:n]).T, rows(self.h[now]))
        self.to_M_c.addmm_(rows(self.before_c[:n]).T, rows(self.rh[now]))
        to_update = self.to_update[:n].flatten()
        self.to_w.add_((to_update @ rows(self.h[then]))[:-2])
        self.to_b.add_(to_update.sum())

    def adjoints(self) -> dict[str, Tensor]:
        """The adjoints of the parameters but h0, once all steps were gone back through."""
        to_z, to_r = self.to_M_zr.chunk(2)
        found = {"w": self.output_scale * self.to_w, "b": self.output_scale * self.to_b}
        for gate, M in (("z", to_z), ("r", to_r), ("c", self.to_M_c)):
            found |= {f"W_{gate}": M[:, :-2], f"a_{gate}": M[:, -2], f"b_{gate}": M[:, -1]}
        return found
