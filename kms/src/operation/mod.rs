//! The operations, one family to a file.
//!
//! Each is a function of a [`Context`] and its request. All go the same way: what the members say
//! together, the recipient ([`release`]), the key ([`resolve`]) and the permit for it
//! ([`Context::permit`]), the key's state and usage ([`key_state`], [`usage`]), the end of a dry run,
//! and only then what they are for.
//! What they need to touch a key's material, they get from the permit.

mod alias;
mod cipher;
mod custom_key_store;
mod data_key;
mod data_key_pair;
mod encryption;
mod grant;
mod grant_token;
mod import;
pub(crate) mod key;
mod key_policy;
mod key_state;
mod last_usage;
mod life_cycle;
mod mac;
mod marker;
mod metadata;
mod multi_region;
mod public_key;
mod random;
mod release;
mod resolve;
mod rotation;
mod shared_secret;
mod signature;
mod tag;
mod usage;

use attestation::rand_core::CryptoRng;
use attestation::{Timestamp, Verifier};
use zeroize::Zeroizing;

use crate::audit::Event;
use crate::authentication::Caller;
use crate::call::Call;
use crate::engine::EngineConfig;
use crate::error::KmsError;
use crate::key::Key;
use crate::key_pair::{self, KeyPair, KeyPairSource, PreparedKeyPair};
use crate::last_usage::UsedKeys;
use crate::material::PrivateKey;
use crate::name::AccountId;
use crate::permit::{Action, Asking, Conditions, Permit, Resource, Shown, authorize};
use crate::protocol::spec::KeyPairSpec;
use crate::protocol::{Request, Response};
use crate::state::{Change, State};

use resolve::{Found, Names};

/// What an operation works with.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a State,
    pub(crate) call: &'a Call<'a>,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    pub(crate) random: &'a mut dyn CryptoRng,
    pub(crate) config: &'a EngineConfig,
    pub(crate) verifier: &'a Verifier,
    pub(crate) key_pairs: &'a dyn KeyPairSource,
    /// Whether this is a place for what takes long.
    pub(crate) may_take_long: bool,
    pub(crate) prepared: Option<PreparedKeyPair>,
    pub(crate) event: &'a mut Event,
    /// The keys that the caller was permitted to use.
    pub(crate) used: UsedKeys,
}

impl Context<'_> {
    /// A new key pair; none if it takes long to make one, none is ready, and this is no place for
    /// that.
    fn key_pair(&self, spec: KeyPairSpec) -> Result<Option<KeyPair>, KmsError> {
        if !self.may_take_long && key_pair::is_slow(spec) {
            return Ok(self.key_pairs.ready(spec));
        }
        if !key_pair::is_quick(spec) {
            self.before_long_work();
        }
        self.key_pairs.generate(spec).map(Some)
    }

    /// The private key of a KMS key, about to be used.
    fn private_key<'k>(&self, key: &'k Key) -> Result<&'k PrivateKey, KmsError> {
        let private = key.current_material()?.private()?;
        if !private.is_quick() {
            self.before_long_work();
        }
        Ok(private)
    }

    /// Tells the edge that the call's thread is about to compute for some time.
    fn before_long_work(&self) {
        (self.config.before_long_work)();
    }
}

/// What an operation comes to: the body of the answer, and what is to be stored first; or why
/// there is no answer yet.
pub(crate) struct Outcome {
    pub(crate) body: Zeroizing<Vec<u8>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) unfinished: Option<Unfinished>,
}

/// What is left to be done by another step.
pub(crate) enum Unfinished {
    /// All of it, where it may take long.
    Slow,
    /// The rest, which changes something, with what took long to make.
    Prepared(PreparedKeyPair),
}

impl Outcome {
    /// An answer that changes nothing.
    fn read(response: &impl Response) -> Self {
        Self {
            body: response.body(),
            changes: Vec::new(),
            unfinished: None,
        }
    }

    /// An answer with a change.
    fn change(body: Zeroizing<Vec<u8>>, change: Change) -> Self {
        Self::changes(body, vec![change])
    }

    /// An answer with any number of changes.
    fn changes(body: Zeroizing<Vec<u8>>, changes: Vec<Change>) -> Self {
        Self {
            body,
            changes,
            unfinished: None,
        }
    }

    /// The empty answer of an operation that only changes something.
    fn void(changes: Vec<Change>) -> Self {
        Self::changes(Zeroizing::new(Vec::new()), changes)
    }

    /// No answer yet.
    fn unfinished(unfinished: Unfinished) -> Self {
        Self {
            unfinished: Some(unfinished),
            ..Self::void(Vec::new())
        }
    }
}

/// Performs a request of an authenticated caller.
pub(crate) fn perform(
    context: &mut Context<'_>,
    request: Request<'_>,
) -> Result<Outcome, KmsError> {
    match request {
        Request::CancelKeyDeletion(request) => life_cycle::cancel_key_deletion(context, &request),
        Request::ConnectCustomKeyStore(request) => {
            custom_key_store::connect_custom_key_store(context, &request)
        }
        Request::CreateAlias(request) => alias::create_alias(context, &request),
        Request::CreateCustomKeyStore(request) => {
            custom_key_store::create_custom_key_store(context, &request)
        }
        Request::CreateGrant(request) => grant::create_grant(context, &request),
        Request::CreateKey(request) => key::create_key(context, &request),
        Request::Decapsulate(request) => shared_secret::decapsulate(context, &request),
        Request::Decrypt(request) => encryption::decrypt(context, request),
        Request::DeleteAlias(request) => alias::delete_alias(context, &request),
        Request::DeleteCustomKeyStore(request) => {
            custom_key_store::delete_custom_key_store(context, &request)
        }
        Request::DeleteImportedKeyMaterial(request) => {
            import::delete_imported_key_material(context, &request)
        }
        Request::DescribeCustomKeyStores(request) => {
            custom_key_store::describe_custom_key_stores(context, &request)
        }
        Request::DeriveSharedSecret(request) => {
            shared_secret::derive_shared_secret(context, request)
        }
        Request::DescribeKey(request) => key::describe_key(context, &request),
        Request::DisableKey(request) => life_cycle::disable_key(context, &request),
        Request::DisableKeyRotation(request) => rotation::disable_key_rotation(context, &request),
        Request::DisconnectCustomKeyStore(request) => {
            custom_key_store::disconnect_custom_key_store(context, &request)
        }
        Request::EnableKey(request) => life_cycle::enable_key(context, &request),
        Request::EnableKeyRotation(request) => rotation::enable_key_rotation(context, &request),
        Request::Encapsulate(request) => shared_secret::encapsulate(context, &request),
        Request::Encrypt(request) => encryption::encrypt(context, &request),
        Request::GenerateDataKey(request) => data_key::generate_data_key(context, request),
        Request::GenerateDataKeyPair(request) => {
            data_key_pair::generate_data_key_pair(context, request)
        }
        Request::GenerateDataKeyPairWithoutPlaintext(request) => {
            data_key_pair::generate_data_key_pair_without_plaintext(context, &request)
        }
        Request::GenerateDataKeyWithoutPlaintext(request) => {
            data_key::generate_data_key_without_plaintext(context, &request)
        }
        Request::GenerateMac(request) => mac::generate_mac(context, &request),
        Request::GenerateRandom(request) => random::generate_random(context, request),
        Request::GetKeyLastUsage(request) => last_usage::get_key_last_usage(context, &request),
        Request::GetKeyPolicy(request) => key_policy::get_key_policy(context, &request),
        Request::GetKeyRotationStatus(request) => {
            rotation::get_key_rotation_status(context, &request)
        }
        Request::GetParametersForImport(request) => {
            import::get_parameters_for_import(context, &request)
        }
        Request::GetPublicKey(request) => public_key::get_public_key(context, &request),
        Request::ImportKeyMaterial(request) => import::import_key_material(context, &request),
        Request::ListAliases(request) => alias::list_aliases(context, &request),
        Request::ListGrants(request) => grant::list_grants(context, &request),
        Request::ListKeyPolicies(request) => key_policy::list_key_policies(context, &request),
        Request::ListKeyRotations(request) => rotation::list_key_rotations(context, &request),
        Request::ListKeys(request) => key::list_keys(context, &request),
        Request::ListResourceTags(request) => tag::list_resource_tags(context, &request),
        Request::ListRetirableGrants(request) => grant::list_retirable_grants(context, &request),
        Request::PutKeyPolicy(request) => key_policy::put_key_policy(context, &request),
        Request::ReEncrypt(request) => encryption::re_encrypt(context, &request),
        Request::ReplicateKey(request) => multi_region::replicate_key(context, &request),
        Request::RetireGrant(request) => grant::retire_grant(context, &request),
        Request::RevokeGrant(request) => grant::revoke_grant(context, &request),
        Request::RotateKeyOnDemand(request) => rotation::rotate_key_on_demand(context, &request),
        Request::ScheduleKeyDeletion(request) => {
            life_cycle::schedule_key_deletion(context, &request)
        }
        Request::Sign(request) => signature::sign(context, &request),
        Request::TagResource(request) => tag::tag_resource(context, &request),
        Request::UntagResource(request) => tag::untag_resource(context, &request),
        Request::UpdateAlias(request) => alias::update_alias(context, &request),
        Request::UpdateCustomKeyStore(request) => {
            custom_key_store::update_custom_key_store(context, &request)
        }
        Request::UpdateKeyDescription(request) => tag::update_key_description(context, &request),
        Request::UpdatePrimaryRegion(request) => {
            multi_region::update_primary_region(context, &request)
        }
        Request::Verify(request) => signature::verify(context, &request),
        Request::VerifyMac(request) => mac::verify_mac(context, &request),
    }
}

impl Context<'_> {
    /// The caller's account.
    fn account(&self) -> AccountId {
        self.caller.principal.account()
    }

    /// Finds the key that a request names and decides whether the caller may do this to it.
    ///
    /// A key of another account is denied in the words AWS uses for one that does not exist.
    fn permit<A: Action>(
        &mut self,
        action: A,
        name: &str,
        names: Names,
        conditions: &Conditions<'_>,
    ) -> Result<Permit<A>, KmsError> {
        let found = self.find::<A>(name, names)?;
        self.permit_found(action, found, conditions)
    }

    /// Decides whether the caller may do this to a key that was found.
    fn permit_found<A: Action>(
        &mut self,
        action: A,
        found: Found,
        conditions: &Conditions<'_>,
    ) -> Result<Permit<A>, KmsError> {
        self.event.key(&found.key);
        self.used.add(&found.key);
        let conditions = Conditions {
            request_alias: found.alias.as_ref(),
            ..*conditions
        };
        self.permit_shown(action, found.key, &conditions, found.shown)
    }

    /// Decides whether the caller may do this to this resource, and records the decision.
    fn permit_resource<A: Action, R: Resource>(
        &mut self,
        action: A,
        resource: R,
        conditions: &Conditions<'_>,
    ) -> Result<Permit<A, R>, KmsError> {
        self.permit_shown(action, resource, conditions, Shown::Named)
    }

    fn permit_shown<A: Action, R: Resource>(
        &mut self,
        action: A,
        resource: R,
        conditions: &Conditions<'_>,
        shown: Shown,
    ) -> Result<Permit<A, R>, KmsError> {
        let mut tokens = conditions.grant_tokens.iter();
        if tokens.any(|token| grant_token::read(self.state, token).is_none()) {
            return Err(KmsError::InvalidGrantToken("Invalid grant token".into()));
        }
        match authorize(self.asking(), action, resource, conditions) {
            Ok(permit) => {
                let basis = permit.basis().text().clone();
                self.event.authorization(A::NAME, basis);
                Ok(permit)
            }
            Err(denial) => {
                let reason = denial.reason().to_owned();
                self.event.authorization(A::NAME, reason.into());
                Err(denial.error(shown))
            }
        }
    }

    /// Who asks, where, how and when.
    fn asking(&self) -> Asking<'_> {
        Asking {
            principal: &self.caller.principal,
            region: &self.caller.region,
            call: self.call,
            now: self.now,
            state: self.state,
        }
    }
}

/// AWS's error for a member that must be there.
fn missing(member: &str) -> KmsError {
    KmsError::validation(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

/// Where a dry run ends: everything was checked, nothing is done.
fn stop_if_dry_run(dry_run: bool) -> Result<(), KmsError> {
    if dry_run {
        Err(KmsError::DryRunOperation)
    } else {
        Ok(())
    }
}
