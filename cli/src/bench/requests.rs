//! The requests, signed ahead: a signature is good for five minutes, so that the generator has
//! nothing to do but to send.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::documents::Documents;
use super::population::{Population, REGION};
use super::scenario::{LARGE, Scenario};
use crate::Failure;
use crate::client::{Client, Endpoint};
use crate::credentials::Credentials;

/// How many requests there are of a kind that may be repeated. They differ in their encryption
/// context where they have one.
const REPEATED: usize = 256;

/// How many if there are as many keys: what is said of these keys is then more than a processor's
/// caches hold.
const MOST_REPEATED: usize = 65_536;

/// How many ciphertexts are decrypted in turns.
const CIPHERTEXTS: usize = 16;

/// How far apart the keys of two requests are, in their order: a prime.
const STRIDE: usize = 7919;

/// How the requests name themselves, before the number of their scenario. What answers without
/// understanding them finds its answer by this, see [`super::bare`].
pub(super) const USER_AGENT: &str = "claviger-bench/";

/// Whole HTTP/1.1 requests.
pub(super) struct Supply {
    requests: Vec<Vec<u8>>,
    repeats: bool,
}

impl Supply {
    /// The request with this number, unless they are used up.
    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        let place = match self.repeats {
            true => number.checked_rem(self.requests.len())?,
            false => number,
        };
        self.requests.get(place).map(Vec::as_slice)
    }

    /// How many different ones there are.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// How many there are, if they are not repeated.
    pub(super) fn most(&self) -> Option<usize> {
        (!self.repeats).then_some(self.requests.len())
    }

    /// The same over and over, for a server that does not look at them.
    pub(super) fn repeated(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }
}

/// What makes requests to a server that has been set up for them.
pub(super) struct Requests {
    client: Client,
    /// Calls with the rights of its policy and of a grant.
    grantee: Client,
    documents: Documents,
    /// Those that are used in turns.
    keys: Vec<String>,
    /// The one that ciphertexts are of, and the grants.
    key: String,
    signing_key: String,
    ciphertexts: Vec<Value>,
    large_ciphertexts: Vec<Value>,
    /// Calls made to set all this up.
    calls: u64,
}

impl Requests {
    /// Makes the keys and ciphertexts that requests name.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn set_up(
        endpoint: &Endpoint,
        population: &Population,
        documents: Documents,
    ) -> Result<Self, Failure> {
        let mut this = Self::new(endpoint, population, documents);
        this.make_keys().await?;
        for grantee in population.grantees() {
            let input = json!({
                "KeyId": this.key, "GranteePrincipal": grantee, "Operations": ["GenerateDataKey"],
                "Constraints": { "EncryptionContextSubset": { "purpose": "bench" } },
            });
            this.call("CreateGrant", &input).await?;
        }
        Ok(this)
    }

    /// The same for a server of somebody else's, without grants. Who calls is unknown to it, or
    /// nothing to it.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn set_up_peer(
        endpoint: &Endpoint,
        population: &Population,
        documents: Documents,
    ) -> Result<Self, Failure> {
        let mut this = Self::new(endpoint, population, documents);
        this.make_keys().await?;
        Ok(this)
    }

    fn new(endpoint: &Endpoint, population: &Population, documents: Documents) -> Self {
        let client =
            |credentials: &Credentials| Client::new(endpoint.clone(), credentials.clone(), REGION);
        Self {
            client: client(&population.administrator),
            grantee: client(&population.grantee),
            documents,
            keys: population.key_ids().collect(),
            key: String::new(),
            signing_key: String::new(),
            ciphertexts: Vec::new(),
            large_ciphertexts: Vec::new(),
            calls: 0,
        }
    }

    async fn make_keys(&mut self) -> Result<(), Failure> {
        self.key = self.create_key(&json!({})).await?;
        if self.keys.is_empty() {
            self.keys.push(self.key.clone());
        }
        let signing = json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" });
        self.signing_key = self.create_key(&signing).await?;
        for number in 0..CIPHERTEXTS {
            let small = self.encrypt(&[7; 32], number).await?;
            self.ciphertexts.push(small);
            let large = self.encrypt(&[7; LARGE], number).await?;
            self.large_ciphertexts.push(large);
        }
        Ok(())
    }

    /// How many calls the setting up took.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    async fn create_key(&mut self, input: &Value) -> Result<String, Failure> {
        let created = self.call("CreateKey", input).await?;
        let arn = created["KeyMetadata"]["Arn"].as_str();
        Ok(arn.ok_or("the answer has no Arn")?.to_owned())
    }

    async fn encrypt(&mut self, plaintext: &[u8], number: usize) -> Result<Value, Failure> {
        let input = json!({
            "KeyId": self.key, "Plaintext": BASE64_STANDARD.encode(plaintext),
            "EncryptionContext": context(number),
        });
        let answer = self.call("Encrypt", &input).await?;
        Ok(answer["CiphertextBlob"].clone())
    }

    async fn call(&mut self, operation: &str, input: &Value) -> Result<Value, Failure> {
        self.calls += 1;
        Ok(self.client.call(operation, input).await?)
    }

    /// Requests of a scenario: a fixed number where they may be repeated, or else `number`.
    pub(super) fn supply(&mut self, scenario: Scenario, number: usize) -> Result<Supply, Failure> {
        let repeats = scenario.is_repeatable();
        let number = match repeats {
            true => self.keys.len().clamp(REPEATED, MOST_REPEATED),
            false => number,
        };
        let document = self.documents.under_the_same_leaf()?;
        let in_turns = interleaved(&scenario.parts());
        let requests = in_turns
            .iter()
            .cycle()
            .take(number)
            .enumerate()
            .map(|(number, part)| self.request(*part, number, &document))
            .collect::<Result<_, _>>()?;
        Ok(Supply { requests, repeats })
    }

    fn request(
        &mut self,
        scenario: Scenario,
        number: usize,
        document: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let input = self.input(scenario, number, document)?;
        let body = serde_json::to_vec(&input)?;
        let mut request = b"POST / HTTP/1.1\r\n".to_vec();
        let client = match scenario {
            Scenario::ByGrant => &self.grantee,
            _ => &self.client,
        };
        let signed = client.signed_headers(scenario.operation(), &body)?;
        for (name, value) in signed {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let place = Scenario::ALL.iter().position(|other| *other == scenario);
        let place = place.unwrap_or_default();
        let length = body.len();
        let rest = format!("user-agent: {USER_AGENT}{place}\r\ncontent-length: {length}\r\n\r\n");
        request.extend_from_slice(rest.as_bytes());
        request.extend_from_slice(&body);
        Ok(request)
    }

    fn input(
        &mut self,
        scenario: Scenario,
        number: usize,
        document: &[u8],
    ) -> Result<Value, Failure> {
        let of = |ciphertexts: &[Value]| {
            let number = number % CIPHERTEXTS;
            json!({
                "CiphertextBlob": ciphertexts.get(number),
                "EncryptionContext": context(number),
            })
        };
        // Far apart, so that each is another part of the state.
        let key = self.keys.get(number * STRIDE % self.keys.len().max(1));
        let document = match scenario {
            Scenario::AttestedSameDocument => document.to_vec(),
            Scenario::AttestedLeafKnown => self.documents.under_the_same_leaf()?,
            Scenario::AttestedAuthoritiesKnown => self.documents.under_a_new_leaf()?,
            Scenario::AttestedCold => self.documents.under_a_new_chain()?,
            Scenario::Decrypt => return Ok(of(&self.ciphertexts)),
            Scenario::DecryptAttested => {
                let mut input = of(&self.ciphertexts);
                input["Recipient"] = recipient(&self.documents.under_the_same_leaf()?);
                return Ok(input);
            }
            Scenario::DataKeyPair(spec) => {
                return Ok(json!({
                    "KeyId": key, "KeyPairSpec": spec.as_str(), "EncryptionContext": context(number),
                }));
            }
            Scenario::DecryptLarge => return Ok(of(&self.large_ciphertexts)),
            Scenario::CreateKey => return Ok(json!({ "Description": number.to_string() })),
            Scenario::DescribeKey => return Ok(json!({ "KeyId": key })),
            Scenario::Encrypt => {
                return Ok(json!({
                    "KeyId": key, "Plaintext": BASE64_STANDARD.encode([7; 32]),
                    "EncryptionContext": context(number),
                }));
            }
            Scenario::Sign => {
                return Ok(json!({
                    "KeyId": self.signing_key, "SigningAlgorithm": "ECDSA_SHA_256",
                    "MessageType": "DIGEST", "Message": BASE64_STANDARD.encode([7; 32]),
                }));
            }
            Scenario::ByGrant => {
                return Ok(json!({
                    "KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": context(number),
                }));
            }
            Scenario::GenerateDataKey | Scenario::Mixed => {
                return Ok(json!({
                    "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(number),
                }));
            }
        };
        Ok(json!({
            "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(number),
            "Recipient": recipient(&document),
        }))
    }
}

fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": BASE64_STANDARD.encode(document),
    })
}

fn context(number: usize) -> Value {
    json!({ "purpose": "bench", "order": number.to_string() })
}

/// The parts of a load in turns, each as often as it comes, spread over the whole.
fn interleaved(parts: &[(Scenario, usize)]) -> Vec<Scenario> {
    let mut places: Vec<(f64, Scenario)> = parts
        .iter()
        .flat_map(|&(part, times)| {
            (0..times).map(move |turn| ((turn as f64 + 0.5) / times as f64, part))
        })
        .collect();
    places.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    places.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::MIXED;

    #[test]
    fn a_load_is_interleaved_and_complete() {
        let turns = interleaved(&MIXED);
        for (part, times) in MIXED {
            let found = turns.iter().filter(|other| **other == part).count();
            assert_eq!(found, times, "{part:?}");
        }
        let halves = turns.split_at(turns.len() / 2);
        let decrypts = |half: &[Scenario]| half.iter().filter(|s| **s == Scenario::Decrypt).count();
        assert_eq!(decrypts(halves.0), decrypts(halves.1));
    }

    #[test]
    fn what_may_not_be_repeated_is_used_up() {
        let supply = Supply {
            requests: vec![vec![1], vec![2]],
            repeats: false,
        };
        assert_eq!(supply.get(1), Some(&[2][..]));
        assert_eq!(supply.get(2), None);
        assert_eq!(supply.most(), Some(2));
        let again = supply.repeated();
        assert_eq!((again.get(2), again.most()), (Some(&[1][..]), None));
    }
}
