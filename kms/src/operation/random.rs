//! GenerateRandom.

use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::permit::{AccountResource, Conditions, action};
use crate::protocol::{request, response};

use super::release::Release;
use super::{Context, Outcome, custom_key_store};

/// Random bytes, for the caller or sealed for a recipient.
pub(super) fn generate_random(
    context: &mut Context<'_>,
    request: request::GenerateRandom<'_>,
) -> Result<Outcome, KmsError> {
    let Some(number_of_bytes) = request.number_of_bytes else {
        return Err(KmsError::validation("NumberOfBytes is required."));
    };
    let release = Release::of(context, request.recipient)?;
    let conditions = Conditions {
        recipient: release.document(),
        ..Conditions::default()
    };
    let account = AccountResource(context.account());
    let _permit = context.permit_resource(action::GenerateRandom, account, &conditions)?;
    if let Some(id) = request.custom_key_store_id {
        return Err(custom_key_store::not_found(&id));
    }
    let mut bytes = Zeroizing::new(vec![0; number_of_bytes.into()]);
    context.random.fill_bytes(&mut bytes);
    let released = release.apply(bytes, context.random)?;
    Ok(Outcome::read(&response::GenerateRandom {
        plaintext: released.as_plaintext(),
    }))
}
