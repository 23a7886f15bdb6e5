//! Errors, as the SDK's own types.

use std::fmt::Debug;

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;

type Answer<T, E> = Result<T, SdkError<E>>;

/// Tests that a call failed with the expected variant, and returns its message.
#[track_caller]
pub fn refused<T: Debug, E>(answer: Answer<T, E>, expected: fn(&E) -> bool) -> String
where
    E: ProvideErrorMetadata + Debug,
{
    let error = refusal(answer, expected);
    let message = error.message().unwrap_or_default();
    assert!(!message.is_empty(), "no message: {error:?}");
    message.to_owned()
}

/// For errors that KMS gives without a message.
#[track_caller]
pub fn refused_silently<T: Debug, E>(answer: Answer<T, E>, expected: fn(&E) -> bool)
where
    E: ProvideErrorMetadata + Debug,
{
    assert_eq!(refusal(answer, expected).message(), None);
}

/// ValidationException, which is modelled for no operation.
#[track_caller]
pub fn invalid<T: Debug, E>(answer: Answer<T, E>) -> String
where
    E: ProvideErrorMetadata + Debug,
{
    refused(answer, |error| error.code() == Some("ValidationException"))
}

#[track_caller]
fn refusal<T: Debug, E>(answer: Answer<T, E>, expected: fn(&E) -> bool) -> E
where
    E: ProvideErrorMetadata + Debug,
{
    let error = answer.expect_err("a refusal");
    let response = error.raw_response().expect("a response");
    assert_eq!(response.status().as_u16(), 400);
    assert!(error.request_id().is_some(), "{error:?}");
    let SdkError::ServiceError(error) = error else {
        panic!("not the service's: {error:?}")
    };
    let error = error.into_err();
    assert!(expected(&error), "{error:?}");
    error
}
