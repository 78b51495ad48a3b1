//! Which projections take 16-bit activations: what the size of an arena depends on, and so a part of the description.

use super::Role;

/// The projections that take 16-bit activations in at least one layer. Which layers do, the tensor table says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WideInputs(u32);

impl WideInputs {
    /// No projection.
    pub const NONE: Self = Self(0);

    /// Bits that [`WideInputs::bits`] may have.
    pub(super) const BITS: u32 = 5;

    /// These and that of `role`. The embedding counts as the head; roles that multiply nothing are passed over.
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | Self::of(role))
    }

    /// Whether that of `role` is among them.
    pub const fn has(self, role: Role) -> bool {
        self.0 & Self::of(role) != 0
    }

    /// Whether there is none.
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As the description's flags have them.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`WideInputs::bits`]; higher bits are dropped.
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    const fn of(role: Role) -> u32 {
        match role {
            Role::Qkv => 1,
            Role::AttentionOut => 2,
            Role::FfnUp => 4,
            Role::FfnDown => 8,
            Role::Embedding | Role::Head => 16,
            _ => 0,
        }
    }
}
