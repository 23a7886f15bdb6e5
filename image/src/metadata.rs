//! What an image file says about itself, as the AWS builder writes it. None of it is measured, and
//! nobody vouches for it; but the file's checksum covers it, so it must be the same in every build.

use std::time::Duration;

use der::DateTime;
use serde::Serialize;

/// The metadata section's content (`EifIdentityInfo` of the crate aws-nitro-enclaves-image-format).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    image_name: String,
    image_version: String,
    build_metadata: BuildMetadata,
    // `nitro-cli` fills these from a Docker image and a file of the user's; readers require them.
    docker_info: Option<()>,
    custom_metadata: Option<()>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BuildMetadata {
    build_time: String,
    build_tool: &'static str,
    build_tool_version: &'static str,
    operating_system: &'static str,
    kernel_version: String,
}

impl Metadata {
    /// Metadata of an image that was made at the beginning of 1970, with an unknown kernel.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            image_name: name.into(),
            image_version: version.into(),
            build_metadata: BuildMetadata {
                build_time: "1970-01-01T00:00:00Z".to_owned(),
                build_tool: env!("CARGO_PKG_NAME"),
                build_tool_version: env!("CARGO_PKG_VERSION"),
                operating_system: "Linux",
                kernel_version: "unknown".to_owned(),
            },
            docker_info: None,
            custom_metadata: None,
        }
    }

    /// Says another time: seconds since 1970, as in `SOURCE_DATE_EPOCH`.
    ///
    /// `None` if the time is after the year 9999.
    #[must_use]
    pub fn built_at(mut self, seconds: u64) -> Option<Self> {
        let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).ok()?;
        self.build_metadata.build_time = date.to_string();
        Some(self)
    }

    /// Says the kernel's version, if the kernel does.
    #[must_use]
    pub fn with_kernel(mut self, kernel: &[u8]) -> Self {
        if let Some(version) = kernel_version(kernel) {
            self.build_metadata.kernel_version = version;
        }
        self
    }

    /// The section's content.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("strings are always JSON"))
    }
}

/// The version that an x86 kernel names in its header (Documentation/arch/x86/boot.rst:
/// `kernel_version` is at 0x20e, counted from 0x200).
fn kernel_version(kernel: &[u8]) -> Option<String> {
    if kernel.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let offset = u16::from_le_bytes(kernel.get(0x20e..0x210)?.try_into().ok()?);
    let text = kernel.get(0x200 + usize::from(offset)..)?;
    let end = text.iter().take(128).position(|byte| *byte <= b' ')?;
    let version = std::str::from_utf8(&text[..end]).ok()?;
    (offset != 0 && !version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_that_of_the_aws_builder() {
        let metadata = Metadata::new("name", "1.0").built_at(1_769_860_800);
        let text = String::from_utf8(metadata.unwrap().to_json()).unwrap();
        let expected = format!(
            r#"{{"ImageName":"name","ImageVersion":"1.0","BuildMetadata":{{"BuildTime":"2026-01-31T12:00:00Z","BuildTool":"claviger-image","BuildToolVersion":"{}","OperatingSystem":"Linux","KernelVersion":"unknown"}},"DockerInfo":null,"CustomMetadata":null}}"#,
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
        assert_eq!(Metadata::new("name", "1").built_at(u64::MAX), None);
    }

    #[test]
    fn a_kernel_names_its_version() {
        let mut kernel = vec![0; 0x300];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x20e..0x210].copy_from_slice(&0x80_u16.to_le_bytes());
        kernel[0x280..0x28f].copy_from_slice(b"6.12.1-x (who@w");
        assert_eq!(kernel_version(&kernel).unwrap(), "6.12.1-x");
        kernel[0x20e..0x210].copy_from_slice(&0xffff_u16.to_le_bytes());
        assert_eq!(kernel_version(&kernel), None);
        for length in 0..kernel.len() {
            assert_eq!(kernel_version(&kernel[..length]), None);
        }
    }
}
