//! Who and what is there when the load begins.

use std::fs;
use std::path::Path;

use host_proxy::{Outcome, RecordStore as _, RedbStore};
use kms::name::KeyId;
use kms::seed::Seed;
use kms::state::{Batch, Change, Key, Opening, RecordId, RootKey, State, Transaction};
use link::{Commit, Record};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Failure;
use crate::attest;
use crate::credentials::Credentials;
use crate::random::system_random;
use crate::server::DataFolder;

/// The account of everything.
pub(super) const ACCOUNT: &str = "123456789012";

/// The user that may do little by its policy, and more by a grant.
const GRANTEE: &str = "grantee";

/// How many grants the key of that scenario has; the last is the one that matters.
const GRANTS: usize = 10;

/// The region of all keys and signatures.
pub(super) const REGION: &str = "us-east-1";

/// Keys that are written in one transaction: their ids are random, so that each transaction writes
/// most of the store's pages anew.
const GROUP: usize = 250_000;

/// The principals and keys that are seeded.
pub(super) struct Population {
    /// May do everything.
    pub(super) administrator: Credentials,
    /// May do what its policy and a grant allow.
    pub(super) grantee: Credentials,
    /// How many keys there are beside those that the set-up makes.
    pub(super) keys: u32,
}

impl Population {
    /// With new credentials.
    pub(super) fn new(keys: u32) -> Self {
        Self {
            administrator: Credentials::generate(&mut system_random()),
            grantee: Credentials::generate(&mut system_random()),
            keys,
        }
    }

    /// The ids of the keys.
    pub(super) fn key_ids(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.keys).map(|number| key_id(number).to_string())
    }

    /// Whom grants are given to.
    pub(super) fn grantees(&self) -> impl Iterator<Item = String> {
        (1..=GRANTS).map(|number| {
            let name = if number == GRANTS { GRANTEE } else { "bench" };
            format!("arn:aws:iam::{ACCOUNT}:user/{name}")
        })
    }

    /// All of it as the server takes it.
    pub(super) fn seed(&self) -> Result<Seed, Failure> {
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": "*",
                  "Condition": { "StringEquals": { "kms:EncryptionContext:purpose": "bench" } } },
                { "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*" },
            ],
        });
        let text = json!({
            "users": [{
                "name": GRANTEE,
                "access_key_id": self.grantee.access_key_id,
                "secret_access_key": self.grantee.secret_access_key.as_str(),
                "policies": { "use": policy },
            }],
        });
        let mut seed = Seed::from_json(&serde_json::to_vec(&text)?)?;
        let Credentials {
            access_key_id,
            secret_access_key,
        } = &self.administrator;
        seed.add_user("bench", access_key_id, secret_access_key);
        Ok(seed)
    }
}

/// Puts so many keys into the store of a server that has run and does not run now.
///
/// A million calls of CreateKey would take longer than all that is measured. So the records are
/// sealed here, by the code that seals them in the enclave, and written by the code that writes
/// them in the host proxy; the server finds them when it starts.
pub(super) fn fill(keys: u32, data: &DataFolder) -> Result<(), Failure> {
    let store = RedbStore::open(&data.records())?;
    let mut state = open(&store, &root_key(&data.root_key())?)?;
    let (account, region, random) = (ACCOUNT.parse()?, REGION.parse()?, &mut system_random());
    let ids: Vec<_> = (0..keys).map(key_id).collect();
    for ids in ids.chunks(GROUP) {
        let mut batch = Batch::new(state);
        let key =
            |id: &KeyId| Key::generate(account, Clone::clone(&region), *id, attest::now(), random);
        batch.push(ids.iter().map(key).map(Change::PutKey).collect());
        let transaction;
        (state, transaction) = batch.seal(random);
        if store.commit(&commit(transaction)?)? != Outcome::Committed {
            return Err("somebody else writes to the record store".into());
        }
    }
    Ok(())
}

/// An id as random ones are, but always the same.
fn key_id(number: u32) -> KeyId {
    let hash = Sha256::digest(number.to_be_bytes());
    let mut id = [0; 16];
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    KeyId::new(id, false)
}

fn open(store: &RedbStore, root_key: &RootKey) -> Result<State, Failure> {
    let head = store.head()?.ok_or("the record store has no head")?;
    let mut opening = Opening::new(root_key, &head)?;
    for record in store.scan(None, usize::MAX)?.records {
        let id = RecordId::from_slice(record.id.as_bytes()).ok_or("no id of a sealed record")?;
        opening.record(id, &record.bytes)?;
    }
    Ok(opening.finish()?)
}

fn root_key(path: &Path) -> Result<RootKey, Failure> {
    let content: Value = serde_json::from_slice(&Zeroizing::new(fs::read(path)?))?;
    let digits = content["root_key"].as_str().ok_or("no root key")?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *bytes)?;
    Ok(RootKey::from_bytes(&bytes))
}

fn commit(transaction: Transaction) -> Result<Commit, Failure> {
    let puts = transaction.puts.into_iter().map(|(id, bytes)| {
        let id = link::RecordId::new(id.as_bytes())?;
        Ok(Record { id, bytes })
    });
    Ok(Commit {
        expected_head: transaction.expected_head,
        puts: puts.collect::<Result<_, Failure>>()?,
        deletes: Vec::new(),
        head: transaction.head,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seeded_is_a_seed() {
        let population = Population::new(300);
        population.seed().unwrap();
        let ids: std::collections::BTreeSet<_> = population.key_ids().collect();
        assert_eq!(ids.len(), 300);
        assert!(
            population
                .grantees()
                .last()
                .unwrap()
                .ends_with("user/grantee")
        );
    }
}
