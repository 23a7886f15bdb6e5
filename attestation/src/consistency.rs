//! What a document says of itself must agree with what its certificates say.
//!
//! AWS documents none of these rules; every genuine document observed keeps them. They tie the
//! payload to the certificate of the NSM that signed it, so that a key certified for one enclave
//! can't speak for another.

use crate::backend::Crypto;
use crate::chain::{Certificate, Chain};
use crate::{AttestationDocument, VerifyError};

pub(crate) fn check(
    crypto: &dyn Crypto,
    document: &AttestationDocument<'_>,
    chain: &Chain<'_>,
) -> Result<(), VerifyError> {
    let partition = chain.authorities.first().and_then(partition);
    let region = region_of_leaf(&chain.leaf, document.module_id(), partition)
        .ok_or(VerifyError::ModuleName)?;
    let mut regions = chain.authorities.iter().filter_map(region_of_authority);
    if regions.any(|other| other != region) {
        return Err(VerifyError::Region);
    }
    if !chain.leaf.is_valid_at(document.timestamp()) {
        return Err(VerifyError::TimestampOutsideCertificate);
    }
    check_instance(crypto, document)
}

/// The partition of a root named `CN=<partition>.nitro-enclaves`.
fn partition<'a>(root: &Certificate<'a>) -> Option<&'a str> {
    root.common_name()?.strip_suffix(AUTHORITY_SUFFIX)
}

/// The region of a leaf named `CN=<module id>.<region>.<partition>`.
///
/// The partition is `aws`. For other partitions no document is known; the label of their root is
/// taken to be right too.
fn region_of_leaf<'a>(
    leaf: &Certificate<'a>,
    module_id: &str,
    partition: Option<&str>,
) -> Option<&'a str> {
    let rest = leaf.common_name()?.strip_prefix(module_id)?;
    let (region, suffix) = rest.strip_prefix('.')?.split_once('.')?;
    (!region.is_empty() && (suffix == "aws" || Some(suffix) == partition)).then_some(region)
}

/// The region of an authority named `CN=<name>.<region>.<partition>.nitro-enclaves`; the root's
/// name has none.
fn region_of_authority<'a>(authority: &Certificate<'a>) -> Option<&'a str> {
    let name = authority.common_name()?.strip_suffix(AUTHORITY_SUFFIX)?;
    let (name, _partition) = name.rsplit_once('.')?;
    let (_name, region) = name.rsplit_once('.')?;
    Some(region)
}

const AUTHORITY_SUFFIX: &str = ".nitro-enclaves";

/// PCR4 measures the instance: 48 zeros extended by its id, which starts the module id. Every NSM
/// locks and sends PCR4; in a document without it there is nothing to contradict the module id.
fn check_instance(
    crypto: &dyn Crypto,
    document: &AttestationDocument<'_>,
) -> Result<(), VerifyError> {
    let module_id = document.module_id();
    let instance = module_id
        .split_once("-enc")
        .map_or(module_id, |(instance, _)| instance);
    match document.pcrs().get(4) {
        Some(pcr4) if pcr4 != crypto.sha384(&[&[0; 48], instance.as_bytes()]) => {
            Err(VerifyError::Instance)
        }
        _ => Ok(()),
    }
}
