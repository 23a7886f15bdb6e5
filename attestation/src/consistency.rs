//! What a document says of itself must agree with what its certificates say.
//!
//! AWS documents none of these rules; every genuine document observed keeps them. They tie the
//! payload to the certificate of the NSM that signed it, so that a key certified for one enclave
//! can't speak for another.

use crate::backend::Crypto;
use crate::chain::Chain;
use crate::{AttestationDocument, VerifyError};

pub(crate) fn check(
    crypto: &dyn Crypto,
    document: &AttestationDocument<'_>,
    chain: &Chain,
) -> Result<(), VerifyError> {
    let names = || chain.authorities.names.iter().map(Option::as_deref);
    let partition = names().next().flatten().and_then(partition);
    let leaf = chain.leaf_name.as_deref();
    let region = leaf
        .and_then(|leaf| region_of_leaf(leaf, document.module_id(), partition))
        .ok_or(VerifyError::ModuleName)?;
    let instance = instance_of(document.module_id());
    for name in names().flatten() {
        let Some(name) = AuthorityName::of(name) else {
            continue;
        };
        if name.region != region {
            return Err(VerifyError::Region);
        }
        if name.label.starts_with(INSTANCE_PREFIX) && name.label != instance {
            return Err(VerifyError::InstanceName);
        }
    }
    if !chain.leaf_validity.contains(document.timestamp()) {
        return Err(VerifyError::TimestampOutsideCertificate);
    }
    check_pcr4(crypto, document, instance)
}

/// The instance that a module id starts with: `i-…` of `i-…-enc…`.
fn instance_of(module_id: &str) -> &str {
    module_id
        .split_once("-enc")
        .map_or(module_id, |(instance, _)| instance)
}

/// The partition of a root named `CN=<partition>.nitro-enclaves`.
fn partition(root: &str) -> Option<&str> {
    root.strip_suffix(AUTHORITY_SUFFIX)
}

/// The region of a leaf named `CN=<module id>.<region>.<partition>`.
///
/// The partition is `aws`. For other partitions no document is known; the label of their root is
/// taken to be right too.
fn region_of_leaf<'a>(leaf: &'a str, module_id: &str, partition: Option<&str>) -> Option<&'a str> {
    let rest = leaf.strip_prefix(module_id)?;
    let (region, suffix) = rest.strip_prefix('.')?.split_once('.')?;
    (!region.is_empty() && (suffix == "aws" || Some(suffix) == partition)).then_some(region)
}

/// An authority named `CN=<label>.<region>.<partition>.nitro-enclaves`. The root's name has no
/// region, and the names of other authorities than AWS's say nothing.
struct AuthorityName<'a> {
    /// For the authority of an instance, its id; `zonal` at the end of a zone's.
    label: &'a str,
    region: &'a str,
}

impl<'a> AuthorityName<'a> {
    fn of(authority: &'a str) -> Option<Self> {
        let name = authority.strip_suffix(AUTHORITY_SUFFIX)?;
        let (name, _partition) = name.rsplit_once('.')?;
        let (label, region) = name.rsplit_once('.')?;
        Some(Self { label, region })
    }
}

const AUTHORITY_SUFFIX: &str = ".nitro-enclaves";

/// How the id of an instance starts.
const INSTANCE_PREFIX: &str = "i-";

/// PCR4 measures the instance: 48 zeros extended by its id. Every NSM locks and sends PCR4; in a
/// document without it there is nothing to contradict the module id, and a register of another
/// hash than SHA-384 can't be compared.
fn check_pcr4(
    crypto: &dyn Crypto,
    document: &AttestationDocument<'_>,
    instance: &str,
) -> Result<(), VerifyError> {
    let measured = crypto.sha384(&[&[0; 48], instance.as_bytes()]);
    match document.pcrs().get(4) {
        Some(pcr4) if pcr4.len() == measured.len() && pcr4 != measured => {
            Err(VerifyError::Instance)
        }
        _ => Ok(()),
    }
}
