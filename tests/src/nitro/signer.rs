//! Signs what the emulated secure module attests, as the hardware does: the module has the
//! registers and everything else that a document says, but no key.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use attestation::Timestamp;
use attestation::nsm::{AttestationRequest, Identity, Nsm as _, SimulatedCa, SimulatedNsm};
use getrandom::SysRng;
use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error;
use rand_core::UnwrapErr;

/// How far documents are behind: an emulated clock loses some seconds when its host is busy, and for
/// another machine a document must not be from the future.
const LAG: Duration = Duration::from_secs(20);

/// A new authority for a test.
///
/// # Panics
///
/// When the cryptographic library fails.
pub fn authority() -> Arc<SimulatedCa> {
    Arc::new(SimulatedCa::generate(&mut UnwrapErr(SysRng), now()).expect("an authority"))
}

/// The time.
///
/// # Panics
///
/// Before 1970.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let milliseconds = since_epoch.expect("a time after 1970").as_millis();
    Timestamp::from_millis(milliseconds as u64)
}

/// Signs for whoever connects to the socket, for as long as the process lives.
///
/// # Panics
///
/// When nothing can listen there.
pub fn serve(ca: Arc<SimulatedCa>, socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        for mut module in listener.incoming().flatten() {
            let mut document = Vec::new();
            let answered = module.read_to_end(&mut document).and_then(|_| {
                let signed = sign(&ca, &document).map_err(io::Error::other)?;
                module.write_all(&signed)
            });
            if let Err(error) = answered {
                eprintln!("a document was not signed: {error}");
            }
        }
    });
}

/// The document that says the same under a chain of the authority's.
fn sign(
    ca: &Arc<SimulatedCa>,
    unsigned: &[u8],
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let statement = Statement::of(unsigned).map_err(|error| error.to_string())?;
    let mut random = UnwrapErr(SysRng);
    let mut identity = Identity::new(&mut random, now())
        .in_region("eu-central-1")
        .with_module_id(&statement.module_id);
    for (index, value) in statement.pcrs {
        identity = identity.with_pcr(index, value);
    }
    let behind = Box::new(|| now() - LAG);
    let mut nsm = SimulatedNsm::new(Arc::clone(ca), identity, behind, Box::new(random));
    Ok(nsm.attest(AttestationRequest {
        public_key: statement.public_key.as_deref(),
        user_data: statement.user_data.as_deref(),
        nonce: statement.nonce.as_deref(),
    })?)
}

/// What a document says.
#[derive(Debug, Default)]
struct Statement {
    module_id: String,
    pcrs: Vec<(u16, [u8; 48])>,
    public_key: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

impl Statement {
    /// Reads the payload of an untagged COSE_Sign1 message.
    fn of(document: &[u8]) -> Result<Self, Error> {
        let mut message = Decoder::new(document);
        message.array()?;
        message.skip()?;
        message.skip()?;
        let mut payload = Decoder::new(message.bytes()?);
        let mut statement = Self::default();
        for _ in 0..payload.map()?.unwrap_or_default() {
            match payload.str()? {
                "module_id" => payload.str()?.clone_into(&mut statement.module_id),
                "pcrs" => {
                    for _ in 0..payload.map()?.unwrap_or_default() {
                        let index = payload.u16()?;
                        let value = payload.bytes()?.try_into();
                        let value = value.map_err(|_| Error::message("no PCR of SHA-384"))?;
                        statement.pcrs.push((index, value));
                    }
                }
                "public_key" => statement.public_key = optional(&mut payload)?,
                "user_data" => statement.user_data = optional(&mut payload)?,
                "nonce" => statement.nonce = optional(&mut payload)?,
                _ => payload.skip()?,
            }
        }
        Ok(statement)
    }
}

fn optional(payload: &mut Decoder<'_>) -> Result<Option<Vec<u8>>, Error> {
    if payload.datatype()? == Type::Null {
        payload.null()?;
        return Ok(None);
    }
    Ok(Some(payload.bytes()?.to_vec()))
}
