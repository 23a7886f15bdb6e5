//! A root key that no one person holds: *m* of *n* operators make it again from their shares.
//!
//! - [`Plan`]: who the operators are, and how many of them it takes.
//! - [`Share`]: what one operator keeps, split off by Shamir's scheme over GF(256).
//! - [`OperatorKey`]: the public key that a share is encrypted to when it is handed out, and
//!   [`Sealed`] what comes of it: an age file (X25519), or RSAES-OAEP for a key in a token.
//! - [`Quorum`]: what is public about the shares of one root key. An enclave that has no key yet
//!   reads it from its host and can tell a share of this key from anything else.
//! - [`Unsealing`]: the shares that an enclave has been given so far.
//! - [`Handover`]: the whole root key, as one enclave gives it to its successor.
//! - [`Resharing`]: how the operators agree on who is to hold the next root key.
//! - [`Manifest`]: an image that the root key may be handed to, once enough operators have signed
//!   it with their [`SigningKey`]s.
//!
//! Nothing here does I/O. Randomness is an argument. `docs/root-key.md` has the formats.

mod age;
mod handover;
mod mac;
mod operator_key;
mod plan;
mod quorum;
mod release;
mod resharing;
mod rsa;
mod sealed;
mod share;
mod signature;
mod signing_key;
#[cfg(test)]
mod testing;
mod unsealing;

pub use crate::handover::{Handover, HandoverError};
pub use crate::operator_key::{OperatorKey, OperatorKeyError};
pub use crate::plan::{MAX_OPERATORS, Operator, Plan, PlanError};
pub use crate::quorum::{Quorum, QuorumError, VerifiedQuorum};
pub use crate::release::{
    AuthorizedRelease, Manifest, RELEASE_NAMESPACE, ReleaseError, SignatureError,
};
pub use crate::resharing::{Approval, ApprovalError, ApproveError, Proposed, Resharing};
pub use crate::sealed::{Sealed, SealedShare};
pub use crate::share::{Share, ShareError};
pub use crate::signing_key::{SigningKey, SigningKeyError};
pub use crate::unsealing::{OfferError, Progress, Unsealing};
