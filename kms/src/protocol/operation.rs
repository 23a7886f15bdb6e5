//! The operations of the API, by name.

use std::fmt;

use http::HeaderName;

use crate::call::Call;
use crate::error::KmsError;

/// The media types of a JSON body. SDKs send the first; the others come from hand-made requests.
const JSON_TYPES: [&str; 3] = [
    "application/x-amz-json-1.1",
    "application/x-amz-json-1.0",
    "application/json",
];

/// The header that names the operation.
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// What the `X-Amz-Target` header says before the operation's name.
const TARGET_PREFIX: &str = "TrentService.";

macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation of the KMS API: all those of the service model (botocore 1.44.5).
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[allow(missing_docs, reason = "the names are AWS's own")]
        #[non_exhaustive]
        pub enum OperationName { $($name,)* }

        impl OperationName {
            /// All operations, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The operation's name, as in the API reference and in `kms:<name>` actions.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

operations! {
    CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey
    Decapsulate Decrypt DeleteAlias DeleteCustomKeyStore DeleteImportedKeyMaterial
    DeriveSharedSecret DescribeCustomKeyStores DescribeKey DisableKey DisableKeyRotation
    DisconnectCustomKeyStore EnableKey EnableKeyRotation Encapsulate Encrypt GenerateDataKey
    GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext
    GenerateMac GenerateRandom GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus
    GetParametersForImport GetPublicKey ImportKeyMaterial ListAliases ListGrants ListKeyPolicies
    ListKeyRotations ListKeys ListResourceTags ListRetirableGrants PutKeyPolicy ReEncrypt
    ReplicateKey RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign TagResource
    UntagResource UpdateAlias UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify
    VerifyMac
}

impl OperationName {
    /// The operation that a call asks for.
    ///
    /// AWS answers in XML, or not at all, to requests that are not a POST of JSON. Here all of them
    /// get the error that every client understands.
    ///
    /// # Errors
    ///
    /// UnknownOperationException if the call names none of ours, is not a POST, or says that its
    /// body is something else than JSON.
    pub fn of(call: &Call<'_>) -> Result<Self, KmsError> {
        let media_type = call.media_type().unwrap_or("application/json");
        let is_json = JSON_TYPES
            .iter()
            .any(|json| media_type.eq_ignore_ascii_case(json));
        if call.method == http::Method::POST && is_json {
            Self::from_target(call.text(&TARGET).flatten())
        } else {
            Err(KmsError::UnknownOperation)
        }
    }

    /// The operation that an `X-Amz-Target` header names.
    ///
    /// # Errors
    ///
    /// UnknownOperationException for every other text, and for no header at all.
    pub fn from_target(target: Option<&str>) -> Result<Self, KmsError> {
        let name = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
        let index = Self::ALL.binary_search_by_key(&name.unwrap_or_default(), |op| op.as_str());
        index
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
            .ok_or(KmsError::UnknownOperation)
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue, Method, Uri};

    use super::*;

    #[test]
    fn all_operations_are_found_by_their_names_and_nothing_else_is() {
        assert_eq!(OperationName::ALL.len(), 56);
        assert!(OperationName::ALL.is_sorted_by_key(|operation| operation.as_str()));
        for operation in OperationName::ALL {
            let target = format!("TrentService.{operation}");
            assert_eq!(OperationName::from_target(Some(&target)), Ok(*operation));
        }
        for target in [
            None,
            Some(""),
            Some("TrentService"),
            Some("TrentService."),
            Some("GenerateDataKey"),
            Some("TrentService.generateDataKey"),
            Some("TrentService.GenerateDataKey "),
            Some("TrentService.GenerateDataKeys"),
            Some("trentservice.GenerateDataKey"),
            Some("DynamoDB_20120810.ListTables"),
        ] {
            let operation = OperationName::from_target(target);
            assert_eq!(operation, Err(KmsError::UnknownOperation), "{target:?}");
        }
    }

    #[test]
    fn a_call_must_post_json() {
        let operation = |method: Method, content_type: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-amz-target",
                HeaderValue::from_static("TrentService.ListKeys"),
            );
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            OperationName::of(&Call {
                method: &method,
                uri: &Uri::from_static("/"),
                headers: &headers,
                is_encrypted: false,
                body: b"{}",
                authority: "localhost",
            })
        };
        for content_type in [
            None,
            Some("application/x-amz-json-1.1"),
            Some("application/x-amz-json-1.1; charset=utf-8"),
            Some("Application/X-Amz-Json-1.1"),
            Some("application/x-amz-json-1.0"),
            Some("application/json"),
        ] {
            let found = operation(Method::POST, content_type);
            assert_eq!(found, Ok(OperationName::ListKeys), "{content_type:?}");
        }
        let unknown = Err(KmsError::UnknownOperation);
        for content_type in [
            "",
            "text/plain",
            "application/x-amz-cbor-1.1",
            "application/xml",
        ] {
            assert_eq!(
                operation(Method::POST, Some(content_type)),
                unknown,
                "{content_type}"
            );
        }
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            assert_eq!(operation(method, None), unknown);
        }
    }
}
