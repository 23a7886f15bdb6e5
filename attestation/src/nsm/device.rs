//! The module of a real enclave, behind `/dev/nsm`.

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};

use super::{AttestationRequest, Nsm, NsmDescription, NsmError, PcrState};
use crate::TrustRoot;

/// The Nitro Secure Module of the enclave that this program runs in.
#[derive(Debug)]
pub struct DeviceNsm {
    descriptor: i32,
    root: TrustRoot,
    /// The driver; another one in tests.
    process: fn(i32, Request) -> Response,
}

impl DeviceNsm {
    /// Opens `/dev/nsm` of an enclave in the commercial partition.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn open() -> Result<Self, NsmError> {
        Self::open_under(TrustRoot::aws())
    }

    /// Opens `/dev/nsm` of an enclave in the partition of `root`.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn open_under(root: TrustRoot) -> Result<Self, NsmError> {
        // The library reports failure as a negative descriptor, not as a Result.
        let descriptor = nsm_init();
        if descriptor < 0 {
            return Err(NsmError::NoDevice);
        }
        Ok(Self {
            descriptor,
            root,
            process: nsm_process_request,
        })
    }

    fn process(&mut self, request: Request) -> Result<Response, NsmError> {
        match (self.process)(self.descriptor, request) {
            Response::Error(code) => Err(code.into()),
            response => Ok(response),
        }
    }
}

impl Drop for DeviceNsm {
    fn drop(&mut self) {
        nsm_exit(self.descriptor);
    }
}

impl Nsm for DeviceNsm {
    fn trust_root(&self) -> &TrustRoot {
        &self.root
    }

    fn describe(&mut self) -> Result<NsmDescription, NsmError> {
        match self.process(Request::DescribeNSM)? {
            Response::DescribeNSM {
                version_major,
                version_minor,
                version_patch,
                module_id,
                max_pcrs,
                locked_pcrs,
                digest,
            } => Ok(NsmDescription {
                version: (version_major, version_minor, version_patch),
                module_id,
                max_pcrs,
                locked_pcrs,
                digest: match digest {
                    Digest::SHA256 => "SHA256",
                    Digest::SHA384 => "SHA384",
                    Digest::SHA512 => "SHA512",
                },
            }),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }

    fn attest(&mut self, request: AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        request.check()?;
        let field = |bytes: &[u8]| bytes.to_vec().into();
        let request = Request::Attestation {
            user_data: request.user_data.map(field),
            nonce: request.nonce.map(field),
            public_key: request.public_key.map(field),
        };
        match self.process(request)? {
            Response::Attestation { document } => Ok(document),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), NsmError> {
        let mut rest = out;
        while !rest.is_empty() {
            let random = match self.process(Request::GetRandom)? {
                Response::GetRandom { random } if !random.is_empty() => random,
                _ => return Err(NsmError::UnexpectedResponse),
            };
            let (filled, unfilled) = rest.split_at_mut(random.len().min(rest.len()));
            for (target, byte) in filled.iter_mut().zip(random) {
                *target = byte;
            }
            rest = unfilled;
        }
        Ok(())
    }

    fn describe_pcr(&mut self, index: u16) -> Result<PcrState, NsmError> {
        match self.process(Request::DescribePCR { index })? {
            Response::DescribePCR { lock, data } => Ok(PcrState {
                value: data,
                locked: lock,
            }),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Vec<u8>, NsmError> {
        let data = data.to_vec();
        match self.process(Request::ExtendPCR { index, data })? {
            Response::ExtendPCR { data } => Ok(data),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), NsmError> {
        match self.process(Request::LockPCR { index })? {
            Response::LockPCR => Ok(()),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }

    fn lock_pcrs(&mut self, end: u16) -> Result<(), NsmError> {
        match self.process(Request::LockPCRs { range: end })? {
            Response::LockPCRs => Ok(()),
            _ => Err(NsmError::UnexpectedResponse),
        }
    }
}

impl From<ErrorCode> for NsmError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::InvalidIndex => Self::InvalidIndex,
            ErrorCode::ReadOnlyIndex => Self::ReadOnlyIndex,
            ErrorCode::InvalidOperation => Self::InvalidOperation,
            ErrorCode::BufferTooSmall => Self::BufferTooSmall,
            ErrorCode::InputTooLarge => Self::InputTooLarge,
            ErrorCode::InternalError => Self::Internal,
            // Success is not an error, so as one it is nonsense.
            ErrorCode::InvalidResponse | ErrorCode::Success => Self::UnexpectedResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A descriptor that `close` refuses, so that dropping it closes nothing.
    const NO_DESCRIPTOR: i32 = -1;

    fn nsm(process: fn(i32, Request) -> Response) -> DeviceNsm {
        DeviceNsm {
            descriptor: NO_DESCRIPTOR,
            root: TrustRoot::aws(),
            process,
        }
    }

    #[test]
    fn without_a_device_there_is_an_error_and_no_module() {
        if std::path::Path::new("/dev/nsm").exists() {
            return;
        }
        assert_eq!(DeviceNsm::open().unwrap_err(), NsmError::NoDevice);
    }

    #[test]
    fn a_closed_descriptor_is_an_internal_error() {
        let mut nsm = nsm(nsm_process_request);
        assert_eq!(nsm.describe(), Err(NsmError::Internal));
        assert_eq!(nsm.random(&mut [0; 4]), Err(NsmError::Internal));
    }

    #[test]
    fn the_driver_takes_requests_up_to_its_limit() {
        // Not reached by attestation requests: three fields of 1024 bytes fit.
        let mut nsm = nsm(nsm_process_request);
        assert_eq!(nsm.extend_pcr(16, &[0; 4096]), Err(NsmError::InputTooLarge));
    }

    #[test]
    fn long_fields_do_not_reach_the_device() {
        let mut nsm = nsm(|_, _| Response::Attestation {
            document: b"document".to_vec(),
        });
        let most = [7; 1024];
        let more = [7; 1025];
        let request = AttestationRequest {
            public_key: Some(&most),
            user_data: Some(&most),
            nonce: Some(&most),
        };
        assert_eq!(nsm.attest(request), Ok(b"document".to_vec()));
        for (field, request) in [
            (
                "public_key",
                AttestationRequest {
                    public_key: Some(&more),
                    ..request
                },
            ),
            (
                "user_data",
                AttestationRequest {
                    user_data: Some(&more),
                    ..request
                },
            ),
            (
                "nonce",
                AttestationRequest {
                    nonce: Some(&more),
                    ..request
                },
            ),
        ] {
            let length = 1025;
            assert_eq!(
                nsm.attest(request),
                Err(NsmError::FieldTooLong { field, length })
            );
        }
    }

    #[test]
    fn the_fields_of_a_request_stay_in_their_places() {
        let mut nsm = nsm(|_, request| match request {
            Request::Attestation {
                user_data,
                nonce,
                public_key,
            } => Response::Attestation {
                document: [public_key, user_data, nonce]
                    .map(|f| f.unwrap().into_vec())
                    .concat(),
            },
            _ => Response::Error(ErrorCode::InvalidOperation),
        });
        let request = AttestationRequest {
            public_key: Some(b"key "),
            user_data: Some(b"data "),
            nonce: Some(b"nonce"),
        };
        assert_eq!(nsm.attest(request), Ok(b"key data nonce".to_vec()));
    }

    #[test]
    fn random_bytes_are_collected_until_there_are_enough() {
        let mut nsm = nsm(|_, _| Response::GetRandom {
            random: vec![1, 2, 3],
        });
        let mut out = [0; 8];
        nsm.random(&mut out).unwrap();
        assert_eq!(out, [1, 2, 3, 1, 2, 3, 1, 2]);

        let mut dry = self::nsm(|_, _| Response::GetRandom { random: vec![] });
        assert_eq!(dry.random(&mut out), Err(NsmError::UnexpectedResponse));
    }

    #[test]
    fn answers_are_mapped() {
        let mut nsm = nsm(|_, request| match request {
            Request::DescribeNSM => Response::DescribeNSM {
                version_major: 1,
                version_minor: 2,
                version_patch: 3,
                module_id: "i-1-enc2".into(),
                max_pcrs: 32,
                locked_pcrs: BTreeSet::from([0, 1]),
                digest: Digest::SHA384,
            },
            Request::DescribePCR { index } => Response::DescribePCR {
                lock: index < 16,
                data: vec![index as u8; 48],
            },
            Request::LockPCR { .. } => Response::LockPCR,
            Request::LockPCRs { .. } => Response::LockPCRs,
            _ => Response::Error(ErrorCode::ReadOnlyIndex),
        });
        let description = nsm.describe().unwrap();
        assert_eq!(description.version, (1, 2, 3));
        assert_eq!(description.digest, "SHA384");
        assert_eq!(description.module_id, "i-1-enc2");
        let register = nsm.describe_pcr(4).unwrap();
        assert!(register.locked && register.value == [4; 48]);
        assert_eq!(nsm.lock_pcr(16), Ok(()));
        assert_eq!(nsm.lock_pcrs(20), Ok(()));
        assert_eq!(nsm.extend_pcr(0, b"x"), Err(NsmError::ReadOnlyIndex));
    }

    #[test]
    fn an_answer_to_another_request_is_an_error() {
        let mut nsm = nsm(|_, _| Response::LockPCR);
        let unexpected = NsmError::UnexpectedResponse;
        assert_eq!(nsm.describe().unwrap_err(), unexpected);
        assert_eq!(
            nsm.attest(AttestationRequest::default()).unwrap_err(),
            unexpected
        );
        assert_eq!(nsm.random(&mut [0; 1]).unwrap_err(), unexpected);
        assert_eq!(nsm.describe_pcr(0).unwrap_err(), unexpected);
        assert_eq!(nsm.extend_pcr(0, &[]).unwrap_err(), unexpected);
        assert_eq!(nsm.lock_pcrs(1).unwrap_err(), unexpected);
    }
}
