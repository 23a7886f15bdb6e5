//! Whose attestation documents open keys.

use std::fs;
use std::path::Path;
use std::time::Duration;

use attestation::{TrustRoot, Verifier, VerifyOptions};

use crate::config::Trust;
use crate::error::EnclaveError;
use crate::log::Notice;

/// A verifier of what the operator trusts, and of a simulated module's own root.
///
/// Anything simulated is refused unless this enclave is simulated itself.
pub(crate) fn verifier(trust: &Trust, own_root: &TrustRoot) -> Result<Verifier, EnclaveError> {
    let simulation = cfg!(feature = "simulation") && own_root.is_simulated();
    if !simulation && !trust.roots.is_empty() {
        return Err(EnclaveError::SimulationOnly("trust.roots"));
    }
    if !simulation && trust.accept_debug {
        return Err(EnclaveError::SimulationOnly("trust.accept_debug"));
    }
    let mut roots = Vec::new();
    if trust.aws {
        roots.push(TrustRoot::aws());
    }
    if trust.aws_us_gov {
        roots.push(TrustRoot::aws_us_gov());
    }
    if simulation {
        roots.push(own_root.clone());
    }
    for (index, root) in trust.roots.iter().enumerate() {
        let setting = format!("trust.roots[{index}]");
        roots.push(simulated_root(root, setting)?);
    }

    let options = VerifyOptions {
        max_age: Duration::from_secs(trust.max_age_seconds),
        accept_debug: trust.accept_debug,
        ..VerifyOptions::default()
    };
    Ok(Verifier::new(roots, options))
}

/// Says loudly what only a simulation may trust.
pub(crate) fn warn(verifier: &Verifier) {
    let roots = verifier.roots().iter();
    let simulated = roots.filter(|root| root.is_simulated()).count();
    if simulated > 0 {
        Notice::TrustingSimulatedRoots { roots: simulated }.log();
    }
    if verifier.options().accept_debug {
        Notice::AcceptingDebug.log();
    }
}

/// A root given as PEM text or by the path of a file, PEM or DER.
pub(crate) fn simulated_root(
    text: &str,
    setting: impl Into<String>,
) -> Result<TrustRoot, EnclaveError> {
    let read;
    let bytes = if text.contains("-----BEGIN") {
        text.as_bytes()
    } else {
        let path = Path::new(text);
        read = fs::read(path).map_err(|source| EnclaveError::File {
            path: path.to_owned(),
            source,
        })?;
        &read
    };
    TrustRoot::simulated(bytes).map_err(|error| EnclaveError::TrustRoot {
        setting: setting.into(),
        what: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use attestation::RootKind;

    use super::*;

    /// AWS's root, taken for a simulated one: any certificate will do.
    fn own_root() -> TrustRoot {
        TrustRoot::from_der(TrustRoot::aws_us_gov().der(), RootKind::Simulated).unwrap()
    }

    fn trust(roots: &[&str], accept_debug: bool) -> Trust {
        Trust {
            roots: roots.iter().map(|&root| root.to_owned()).collect(),
            accept_debug,
            ..Trust::default()
        }
    }

    #[test]
    fn nothing_simulated_is_trusted_by_a_real_enclave() {
        let own = TrustRoot::aws();
        let verifier = verifier(&Trust::default(), &own).unwrap();
        assert_eq!(verifier.roots(), [TrustRoot::aws()]);
        for (trust, setting) in [
            (trust(&["root.pem"], false), "trust.roots"),
            (trust(&[], true), "trust.accept_debug"),
        ] {
            let refused = super::verifier(&trust, &own);
            let is_it = |is: &'static str| is == setting;
            assert!(matches!(refused, Err(EnclaveError::SimulationOnly(is)) if is_it(is)));
        }
    }

    #[cfg(not(feature = "simulation"))]
    #[test]
    fn a_build_without_simulation_trusts_nothing_simulated_however_it_is_asked() {
        let verifier = verifier(&Trust::default(), &own_root()).unwrap();
        assert_eq!(verifier.roots(), [TrustRoot::aws()]);
        for trust in [trust(&["root.pem"], false), trust(&[], true)] {
            assert!(super::verifier(&trust, &own_root()).is_err());
        }
    }

    #[cfg(feature = "simulation")]
    #[test]
    fn a_simulated_enclave_trusts_its_own_root_and_those_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.der");
        fs::write(&path, TrustRoot::aws().der()).unwrap();
        let path = path.to_str().unwrap();
        let given = Trust {
            aws_us_gov: true,
            ..trust(&[path], true)
        };
        let verifier = verifier(&given, &own_root()).unwrap();
        let simulated: Vec<_> = verifier
            .roots()
            .iter()
            .map(TrustRoot::is_simulated)
            .collect();
        assert_eq!(simulated, [false, false, true, true]);
        assert!(verifier.options().accept_debug);

        let absent = super::verifier(&trust(&["/nonexistent"], false), &own_root());
        assert!(matches!(absent, Err(EnclaveError::File { .. })));
        let broken = trust(&["-----BEGIN CERTIFICATE-----\n"], false);
        let broken = super::verifier(&broken, &own_root());
        assert!(matches!(
            broken,
            Err(EnclaveError::TrustRoot { setting, .. }) if setting == "trust.roots[0]"
        ));
    }
}
