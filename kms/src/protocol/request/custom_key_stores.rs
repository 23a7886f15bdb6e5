//! The requests about custom key stores.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::members::Members;
use crate::protocol::spec::{CustomKeyStoreType, XksProxyConnectivity};

use super::shape;

/// CreateCustomKeyStore.
pub struct CreateCustomKeyStore<'a> {
    /// The new store's name.
    pub custom_key_store_name: Cow<'a, str>,
    /// The cluster behind it.
    pub cloud_hsm_cluster_id: Option<Cow<'a, str>>,
    /// The certificate that the cluster's are signed with.
    pub trust_anchor_certificate: Option<Cow<'a, str>>,
    /// The password of the crypto user `kmsuser`.
    pub key_store_password: Option<Zeroizing<String>>,
    /// What kind of store it is; AWS_CLOUDHSM when absent.
    pub custom_key_store_type: Option<CustomKeyStoreType>,
    /// The proxy of an external key store.
    pub xks_proxy: XksProxy<'a>,
}

impl<'a> CreateCustomKeyStore<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_name: members
                .required_text("CustomKeyStoreName", &shape::CUSTOM_KEY_STORE_NAME)?,
            cloud_hsm_cluster_id: members
                .text("CloudHsmClusterId", &shape::CLOUD_HSM_CLUSTER_ID)?,
            trust_anchor_certificate: members
                .text("TrustAnchorCertificate", &shape::TRUST_ANCHOR_CERTIFICATE)?,
            key_store_password: members
                .secret_text("KeyStorePassword", &shape::KEY_STORE_PASSWORD)?,
            custom_key_store_type: members.choice("CustomKeyStoreType")?,
            xks_proxy: XksProxy::read(members)?,
        })
    }
}

/// The members that say what the proxy of an external key store is.
pub struct XksProxy<'a> {
    /// `XksProxyUriEndpoint`.
    pub uri_endpoint: Option<Cow<'a, str>>,
    /// `XksProxyUriPath`.
    pub uri_path: Option<Cow<'a, str>>,
    /// `XksProxyVpcEndpointServiceName`.
    pub vpc_endpoint_service_name: Option<Cow<'a, str>>,
    /// `XksProxyVpcEndpointServiceOwner`.
    pub vpc_endpoint_service_owner: Option<Cow<'a, str>>,
    /// `XksProxyAuthenticationCredential`.
    pub authentication_credential: Option<XksProxyAuthenticationCredential>,
    /// `XksProxyConnectivity`.
    pub connectivity: Option<XksProxyConnectivity>,
}

impl<'a> XksProxy<'a> {
    fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            uri_endpoint: members.text("XksProxyUriEndpoint", &shape::XKS_PROXY_URI_ENDPOINT)?,
            uri_path: members.text("XksProxyUriPath", &shape::XKS_PROXY_URI_PATH)?,
            vpc_endpoint_service_name: members.text(
                "XksProxyVpcEndpointServiceName",
                &shape::XKS_PROXY_VPC_ENDPOINT_SERVICE_NAME,
            )?,
            vpc_endpoint_service_owner: members
                .text("XksProxyVpcEndpointServiceOwner", &shape::ACCOUNT_ID)?,
            authentication_credential: members.structure(
                "XksProxyAuthenticationCredential",
                XksProxyAuthenticationCredential::read,
            )?,
            connectivity: members.choice("XksProxyConnectivity")?,
        })
    }

    /// Whether any of the members is there.
    pub fn is_given(&self) -> bool {
        self.uri_endpoint.is_some()
            || self.uri_path.is_some()
            || self.vpc_endpoint_service_name.is_some()
            || self.vpc_endpoint_service_owner.is_some()
            || self.authentication_credential.is_some()
            || self.connectivity.is_some()
    }
}

/// What KMS would sign its requests to the proxy with.
pub struct XksProxyAuthenticationCredential {
    /// `AccessKeyId`.
    pub access_key_id: Zeroizing<String>,
    /// `RawSecretAccessKey`.
    pub raw_secret_access_key: Zeroizing<String>,
}

impl XksProxyAuthenticationCredential {
    fn read(members: &mut Members<'_, '_>) -> Result<Self, KmsError> {
        Ok(Self {
            access_key_id: members
                .required_secret_text("AccessKeyId", &shape::XKS_PROXY_ACCESS_KEY_ID)?,
            raw_secret_access_key: members.required_secret_text(
                "RawSecretAccessKey",
                &shape::XKS_PROXY_RAW_SECRET_ACCESS_KEY,
            )?,
        })
    }
}

/// DeleteCustomKeyStore.
pub struct DeleteCustomKeyStore<'a> {
    /// The store.
    pub custom_key_store_id: Cow<'a, str>,
}

impl<'a> DeleteCustomKeyStore<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_id: custom_key_store_id(members)?,
        })
    }
}

/// DescribeCustomKeyStores.
pub struct DescribeCustomKeyStores<'a> {
    /// Only the store with this id.
    pub custom_key_store_id: Option<Cow<'a, str>>,
    /// Only the store with this name.
    pub custom_key_store_name: Option<Cow<'a, str>>,
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
}

impl<'a> DescribeCustomKeyStores<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_id: members.text("CustomKeyStoreId", &shape::CUSTOM_KEY_STORE_ID)?,
            custom_key_store_name: members
                .text("CustomKeyStoreName", &shape::CUSTOM_KEY_STORE_NAME)?,
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
        })
    }
}

/// ConnectCustomKeyStore.
pub struct ConnectCustomKeyStore<'a> {
    /// The store.
    pub custom_key_store_id: Cow<'a, str>,
}

impl<'a> ConnectCustomKeyStore<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_id: custom_key_store_id(members)?,
        })
    }
}

/// DisconnectCustomKeyStore.
pub struct DisconnectCustomKeyStore<'a> {
    /// The store.
    pub custom_key_store_id: Cow<'a, str>,
}

impl<'a> DisconnectCustomKeyStore<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_id: custom_key_store_id(members)?,
        })
    }
}

/// UpdateCustomKeyStore.
pub struct UpdateCustomKeyStore<'a> {
    /// The store.
    pub custom_key_store_id: Cow<'a, str>,
    /// Its new name.
    pub new_custom_key_store_name: Option<Cow<'a, str>>,
    /// The new password of the crypto user `kmsuser`.
    pub key_store_password: Option<Zeroizing<String>>,
    /// The new cluster behind it.
    pub cloud_hsm_cluster_id: Option<Cow<'a, str>>,
    /// What changes about the proxy of an external key store.
    pub xks_proxy: XksProxy<'a>,
}

impl<'a> UpdateCustomKeyStore<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            custom_key_store_id: custom_key_store_id(members)?,
            new_custom_key_store_name: members
                .text("NewCustomKeyStoreName", &shape::CUSTOM_KEY_STORE_NAME)?,
            key_store_password: members
                .secret_text("KeyStorePassword", &shape::KEY_STORE_PASSWORD)?,
            cloud_hsm_cluster_id: members
                .text("CloudHsmClusterId", &shape::CLOUD_HSM_CLUSTER_ID)?,
            xks_proxy: XksProxy::read(members)?,
        })
    }
}

fn custom_key_store_id<'a>(members: &mut Members<'_, 'a>) -> Result<Cow<'a, str>, KmsError> {
    members.required_text("CustomKeyStoreId", &shape::CUSTOM_KEY_STORE_ID)
}
