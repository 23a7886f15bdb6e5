//! Custom key stores: the operations of an account that has none and can't get any.
//!
//! There is no CloudHSM outside of AWS, and the enclave reaches no proxy of an external key store:
//! its only way out is the host that it does not trust. So a store can't be made, with the errors
//! that AWS has for a cluster or proxy that isn't there, and every other operation finds none.

use crate::error::KmsError;
use crate::permit::{AccountResource, Action, Conditions, action};
use crate::protocol::spec::{CustomKeyStoreType, XksProxyConnectivity};
use crate::protocol::{OperationName, request, response};

use super::marker::Listing;
use super::{Context, Outcome};

/// CreateCustomKeyStore.
pub(super) fn create_custom_key_store(
    context: &mut Context<'_>,
    request: &request::CreateCustomKeyStore<'_>,
) -> Result<Outcome, KmsError> {
    match request.custom_key_store_type {
        None | Some(CustomKeyStoreType::AwsCloudHsm) => {
            let cluster = cloud_hsm_cluster(request)?;
            permit_stores(context, action::CreateCustomKeyStore)?;
            Err(KmsError::CloudHsmClusterNotFound(
                format!("CloudHSM cluster {cluster} is not found.").into(),
            ))
        }
        Some(CustomKeyStoreType::ExternalKeyStore) => {
            let connectivity = xks_connectivity(request)?;
            permit_stores(context, action::CreateCustomKeyStore)?;
            Err(match connectivity {
                XksProxyConnectivity::PublicEndpoint => KmsError::XksProxyUriUnreachable(
                    "This server does not reach external key store proxies.".into(),
                ),
                XksProxyConnectivity::VpcEndpointService => {
                    KmsError::XksProxyVpcEndpointServiceNotFound(
                        "This server has no VPC endpoint services.".into(),
                    )
                }
            })
        }
    }
}

/// DeleteCustomKeyStore.
pub(super) fn delete_custom_key_store(
    context: &mut Context<'_>,
    request: &request::DeleteCustomKeyStore<'_>,
) -> Result<Outcome, KmsError> {
    permit_stores(context, action::DeleteCustomKeyStore)?;
    Err(not_found(&request.custom_key_store_id))
}

/// DescribeCustomKeyStores.
pub(super) fn describe_custom_key_stores(
    context: &mut Context<'_>,
    request: &request::DescribeCustomKeyStores<'_>,
) -> Result<Outcome, KmsError> {
    let id = request.custom_key_store_id.as_deref();
    let name = request.custom_key_store_name.as_deref();
    if id.is_some() && name.is_some() {
        return Err(KmsError::validation(
            "You cannot specify CustomKeyStoreId and CustomKeyStoreName in the same request.",
        ));
    }
    permit_stores(context, action::DescribeCustomKeyStores)?;
    if let Some(store) = id.or(name) {
        return Err(not_found(store));
    }
    let listing = Listing {
        operation: OperationName::DescribeCustomKeyStores,
        account: context.account(),
        region: &context.caller.region,
        key: None,
    };
    listing.start::<String>(request.marker.as_deref())?;
    Ok(Outcome::read(&response::DescribeCustomKeyStores))
}

/// ConnectCustomKeyStore.
pub(super) fn connect_custom_key_store(
    context: &mut Context<'_>,
    request: &request::ConnectCustomKeyStore<'_>,
) -> Result<Outcome, KmsError> {
    permit_stores(context, action::ConnectCustomKeyStore)?;
    Err(not_found(&request.custom_key_store_id))
}

/// DisconnectCustomKeyStore.
pub(super) fn disconnect_custom_key_store(
    context: &mut Context<'_>,
    request: &request::DisconnectCustomKeyStore<'_>,
) -> Result<Outcome, KmsError> {
    permit_stores(context, action::DisconnectCustomKeyStore)?;
    Err(not_found(&request.custom_key_store_id))
}

/// UpdateCustomKeyStore.
pub(super) fn update_custom_key_store(
    context: &mut Context<'_>,
    request: &request::UpdateCustomKeyStore<'_>,
) -> Result<Outcome, KmsError> {
    permit_stores(context, action::UpdateCustomKeyStore)?;
    Err(not_found(&request.custom_key_store_id))
}

/// AWS's error for an account without custom key stores: here no account has any.
pub(super) fn not_found(store: &str) -> KmsError {
    KmsError::CustomKeyStoreNotFound(format!("Custom key store {store} is not found.").into())
}

/// Decides whether the caller may do this to the account's custom key stores.
fn permit_stores<A: Action>(context: &mut Context<'_>, action: A) -> Result<(), KmsError> {
    let account = AccountResource(context.account());
    context
        .permit_resource(action, account, &Conditions::default())
        .map(drop)
}

/// The cluster of a request that has all that a store in CloudHSM needs, and nothing else.
fn cloud_hsm_cluster<'r>(
    request: &'r request::CreateCustomKeyStore<'_>,
) -> Result<&'r str, KmsError> {
    if request.xks_proxy.is_given() {
        return Err(KmsError::validation(
            "Parameters of an external key store proxy are valid only with the CustomKeyStoreType EXTERNAL_KEY_STORE.",
        ));
    }
    let cluster = request.cloud_hsm_cluster_id.as_deref();
    require("CloudHsmClusterId", cluster.is_some())?;
    require("KeyStorePassword", request.key_store_password.is_some())?;
    let certificate = &request.trust_anchor_certificate;
    require("TrustAnchorCertificate", certificate.is_some())?;
    Ok(cluster.unwrap_or_default())
}

/// The connectivity of a request that has all that an external key store needs, and nothing else.
fn xks_connectivity(
    request: &request::CreateCustomKeyStore<'_>,
) -> Result<XksProxyConnectivity, KmsError> {
    if request.cloud_hsm_cluster_id.is_some()
        || request.key_store_password.is_some()
        || request.trust_anchor_certificate.is_some()
    {
        return Err(KmsError::validation(
            "Parameters of a CloudHSM cluster are valid only with the CustomKeyStoreType AWS_CLOUDHSM.",
        ));
    }
    let proxy = &request.xks_proxy;
    let Some(connectivity) = proxy.connectivity else {
        return Err(required("XksProxyConnectivity"));
    };
    require("XksProxyUriEndpoint", proxy.uri_endpoint.is_some())?;
    require("XksProxyUriPath", proxy.uri_path.is_some())?;
    let credential = &proxy.authentication_credential;
    require("XksProxyAuthenticationCredential", credential.is_some())?;
    if connectivity == XksProxyConnectivity::VpcEndpointService {
        let service = &proxy.vpc_endpoint_service_name;
        require("XksProxyVpcEndpointServiceName", service.is_some())?;
    }
    Ok(connectivity)
}

fn require(member: &str, is_there: bool) -> Result<(), KmsError> {
    if is_there {
        Ok(())
    } else {
        Err(required(member))
    }
}

/// The error for a member that this kind of store needs.
fn required(member: &str) -> KmsError {
    KmsError::validation(format!("{member} is required."))
}
