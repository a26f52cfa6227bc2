"""Layer norm and RMS norm; each can show, and let be edited, the scale that it divides by."""

from jaxtyping import Float
from torch import Tensor, bfloat16, float32, nn, promote_types
from torch.nn import functional as F

from glassbook.core.taps import At
from glassbook.models.part import Part


class LayerNorm(Part, nn.LayerNorm):
    """Layer normalization, Ba et al. 2016 (1607.06450), equation 4, with its scale at a Site."""

    def forward(self, x: Float[Tensor, "batch pos d_model"], at: At, site: str) -> Float[Tensor, "batch pos d_model"]:  # type: ignore[override]
        """Return the normed `x`; where `site` is wanted, what it divides by passes through the tap."""
        if not at.wants(site):
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        # In float32 at least, as the fused kernel computes inside: reading a scale must not change what is read.
        wide = x.to(promote_types(x.dtype, float32))
        centered = wide - wide.mean(-1, keepdim=True)
        scale = at(site, (centered.pow(2).mean(-1, keepdim=True) + self.eps).sqrt())
        return (centered / scale * self.weight + self.bias).to(x.dtype)


class RMSNorm(Part, nn.RMSNorm):
    """Root-mean-square normalization, Zhang and Sennrich 2019 (1910.07467), equation 4, with its scale at a Site."""

    def forward(self, x: Float[Tensor, "*lead d"], at: At, site: str) -> Float[Tensor, "*lead d"]:  # type: ignore[override]
        """Return the normed `x`; where `site` is wanted, what it divides by passes through the tap."""
        if not at.wants(site):
            if x.dtype is bfloat16:
                # Normed in float32 and rounded once: nearer the truth, and half the time of the kernel for bfloat16.
                return F.rms_norm(x.float(), self.normalized_shape, None, self.eps).to(bfloat16) * self.weight
            return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)
        assert self.eps is not None
        wide = x.to(promote_types(x.dtype, float32))
        scale = at(site, (wide.pow(2).mean(-1, keepdim=True) + self.eps).sqrt())
        return (wide / scale).to(x.dtype) * self.weight


class OffsetRMSNorm(RMSNorm):
    """Gemma's root-mean-square normalization: it multiplies by 1 + weight, in float32, and rounds once."""

    def forward(self, x: Float[Tensor, "*lead d"], at: At, site: str) -> Float[Tensor, "*lead d"]:  # type: ignore[override]
        """Return the normed `x`; where `site` is wanted, what it divides by passes through the tap."""
        assert self.eps is not None
        wide = x.to(promote_types(x.dtype, float32))
        weight = 1 + self.weight.to(wide.dtype)
        if not at.wants(site):
            return F.rms_norm(wide, self.normalized_shape, weight, self.eps).to(x.dtype)
        scale = at(site, (wide.pow(2).mean(-1, keepdim=True) + self.eps).sqrt())
        return (wide / scale * weight).to(x.dtype)
