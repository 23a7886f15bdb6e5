//! A key as CreateKey and DescribeKey show it.

use crate::key::{Import, Key};
use crate::name;
use crate::protocol::response::{KeyMetadata, MultiRegionConfiguration, MultiRegionKey};
use crate::protocol::spec::{KeyManager, KeySpec, KeyState, MultiRegionKeyType};

use super::usage;

/// What AWS tells about a key.
pub(super) fn of(key: &Key) -> KeyMetadata<'_> {
    let current = key.current_version();
    let import = current.filter(|version| version.is_here);
    let import = import.and_then(|version| version.import);
    KeyMetadata {
        aws_account_id: key.account(),
        key_id: key.id(),
        arn: key.arn(),
        creation_date: key.created,
        description: &key.description,
        key_usage: key.usage,
        key_state: key.state,
        deletion_date: key
            .deletion_date
            .filter(|_| key.state == KeyState::PendingDeletion),
        valid_to: import.and_then(|import| import.valid_to),
        origin: key.origin,
        custom_key_store_id: None,
        cloud_hsm_cluster_id: None,
        expiration_model: import.map(Import::expiration_model),
        key_manager: KeyManager::Customer,
        key_spec: key.spec,
        encryption_algorithms: usage::encryption_algorithms(key.spec, key.usage),
        signing_algorithms: usage::signing_algorithms(key.spec, key.usage),
        key_agreement_algorithms: usage::key_agreement_algorithms(key.usage),
        encapsulation_algorithms: usage::encapsulation_algorithms(key.usage),
        mac_algorithms: usage::mac_algorithms(key.spec),
        multi_region_configuration: key.id().is_multi_region().then(|| related_keys(key)),
        pending_deletion_window_in_days: key
            .multi_region
            .as_ref()
            .and_then(|set| set.deletion_window)
            .filter(|_| key.state == KeyState::PendingReplicaDeletion),
        xks_key_id: None,
        current_key_material_id: current
            .filter(|_| key.spec == KeySpec::SymmetricDefault)
            .map(|version| version.id.as_bytes()),
    }
}

/// The set that a multi-Region key belongs to.
fn related_keys(key: &Key) -> MultiRegionConfiguration<'_> {
    let in_region = |region| MultiRegionKey {
        arn: name::key_arn(region, key.account(), key.id()),
        region,
    };
    MultiRegionConfiguration {
        multi_region_key_type: match key.is_replica() {
            false => MultiRegionKeyType::Primary,
            true => MultiRegionKeyType::Replica,
        },
        primary_key: in_region(key.primary_region()),
        replica_keys: key.replica_regions().map(in_region).collect(),
    }
}
