//! The enclave as the only program of a machine: real kernel, real vsock, and on the second board
//! a real `/dev/nsm` and an image whose measurements are known before it boots.
//!
//! The stock board needs Debian's `qemu-system-x86`; the Nitro board a QEMU that
//! `tests/nitro/qemu/build` makes. A machine without them says `SKIPPED`.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use attestation::{TrustRoot, VerifiedDocument, Verifier, VerifyOptions};
use claviger_tests::call::Connection;
use claviger_tests::nitro::machine::{Board, COMMAND_LINE, Host, INSTANCE, Machine, ROLE};
use claviger_tests::nitro::{parts, signer};
use claviger_tests::process::{ACCESS_KEY, SECRET_KEY};
use claviger_tests::suite;
use image::eif::{Architecture, Eif};
use image::measurements::{Measurements, Pcr};
use image::metadata::Metadata;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha384};

/// A root key outlives its machine in no memory, so the tests' is part of the ramdisk.
const ROOT_KEY: (&str, &[u8]) = (
    "root-key.json",
    br#"{"root_key":"c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a71c1a7","store":"none"}"#,
);

/// A machine takes a whole processor: one at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_stock_machine_serves_unmodified_clients_and_forgets_nothing() {
    let _turn = one_at_a_time();
    let Some(debian) = parts::debian() else {
        return;
    };
    let host = Host::start();
    let clients = signer::authority();
    let nsm = json!({ "simulated": { "ca": "/run/nsm-ca.pem", "region": "eu-central-1" } });
    let roots = [clients.certificate_pem().unwrap()];
    let ramdisk = host.file("ramdisk");
    let settings = settings(&nsm, &roots);
    let ramdisks = parts::ramdisks(debian, settings.as_bytes(), &[ROOT_KEY]);
    fs::write(&ramdisk, ramdisks.concat()).unwrap();
    let kernel = debian.kernel.clone();
    let board = Board::Stock { kernel, ramdisk };

    let mut machine = Machine::boot(&board, &host);
    let health = host.wait_until_served(&mut machine);
    assert_eq!(health["attestation"], "simulated");
    assert_eq!(host.heartbeats(), 1);
    let ca = host.file("nsm-ca.pem");
    fs::write(&ca, clients.to_pem().unwrap().as_bytes()).unwrap();
    run_clients(&host);
    let sealed = generate(&host);

    // The end of an enclave is always sudden.
    drop(machine);
    let mut machine = Machine::boot(&board, &host);
    host.wait_until_served(&mut machine);
    assert_eq!(host.heartbeats(), 2);
    sealed.opens(&host);
}

#[test]
fn a_machine_whose_enclave_can_not_serve_ends_and_says_why() {
    let _turn = one_at_a_time();
    let Some(debian) = parts::debian() else {
        return;
    };
    let host = Host::start();
    let ramdisk = host.file("ramdisk");
    let ramdisks = parts::ramdisks(debian, b"{}", &[]);
    fs::write(&ramdisk, ramdisks.concat()).unwrap();
    let kernel = debian.kernel.clone();
    let mut machine = Machine::boot(&Board::Stock { kernel, ramdisk }, &host);
    assert!(machine.wait().success());
    let console = machine.console();
    assert!(
        console.contains("the settings are wrong at line 1"),
        "{console}"
    );
    assert!(!console.contains("Kernel panic"), "{console}");
}

#[test]
fn a_nitro_machine_attests_what_was_built() {
    let _turn = one_at_a_time();
    let (Some(debian), Some(qemu)) = (parts::debian(), parts::nitro_qemu()) else {
        return;
    };
    let host = Host::start();
    let authority = signer::authority();
    let signer = host.file("signer.sock");
    signer::serve(authority.clone(), &signer);
    let root = authority.certificate_pem().unwrap();
    let settings = settings(&json!({ "emulated": { "root": root } }), &[]);
    let file = eif(debian, &settings, &[ROOT_KEY]);
    let expected = Measurements::of(&Eif::parse(&file).unwrap()).unwrap();
    let image = host.file("enclave.eif");
    fs::write(&image, file).unwrap();
    let board = Board::Nitro {
        qemu,
        image,
        signer,
        clock: None,
    };

    let mut machine = Machine::boot(&board, &host);
    let health = host.wait_until_served(&mut machine);
    assert_eq!(
        health["attestation"], "simulated",
        "no root but AWS's is real"
    );
    assert_eq!(health["trust"]["simulated"], true);
    assert_eq!(host.heartbeats(), 1);

    let document = own_document(&host, authority.root());
    let pcr = |index| document.pcrs().get(index);
    assert_eq!(pcr(0), Some(&expected.pcr0.as_bytes()[..]));
    assert_eq!(pcr(1), Some(&expected.pcr1.as_bytes()[..]));
    assert_eq!(pcr(2), Some(&expected.pcr2.as_bytes()[..]));
    assert_eq!(pcr(3), Some(&Pcr::of_role(ROLE).as_bytes()[..]));
    assert_eq!(pcr(4), Some(&Pcr::of_instance(INSTANCE).as_bytes()[..]));
    // docs/attested-identity.md. Only a locked register is in a document.
    let identity = [Sha384::digest(&settings), Sha384::digest(b"")].concat();
    let extended = [&[0; 48][..], &Sha384::digest(identity)].concat();
    assert_eq!(pcr(16), Some(&Sha384::digest(extended)[..]));
    assert_eq!(pcr(17), None);
    assert!(document.module_id().starts_with(INSTANCE));

    let ca = host.file("nsm-ca.pem");
    fs::write(&ca, authority.to_pem().unwrap().as_bytes()).unwrap();
    run_clients(&host);
    let sealed = generate(&host);
    drop(machine);
    let mut machine = Machine::boot(&board, &host);
    host.wait_until_served(&mut machine);
    sealed.opens(&host);
    let again = own_document(&host, authority.root());
    assert_eq!(again.pcrs(), document.pcrs());
}

#[test]
fn a_nitro_machine_with_a_clock_that_its_module_contradicts_does_not_serve() {
    let _turn = one_at_a_time();
    let (Some(debian), Some(qemu)) = (parts::debian(), parts::nitro_qemu()) else {
        return;
    };
    let host = Host::start();
    let authority = signer::authority();
    let signer = host.file("signer.sock");
    signer::serve(authority.clone(), &signer);
    let root = authority.certificate_pem().unwrap();
    let settings = settings(&json!({ "emulated": { "root": root } }), &[]);
    let image = host.file("enclave.eif");
    fs::write(&image, eif(debian, &settings, &[ROOT_KEY])).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    for (clock, direction) in [(now - day, "behind"), (now + day, "ahead of")] {
        let board = Board::Nitro {
            qemu: qemu.clone(),
            image: image.clone(),
            signer: signer.clone(),
            clock: Some(clock),
        };
        let mut machine = Machine::boot(&board, &host);
        assert!(machine.wait().success());
        let console = machine.console();
        let said = console.split("the enclave's clock is ").nth(1);
        let (seconds, rest) = said
            .and_then(|said| said.split_once(" s "))
            .expect(&console);
        // But for what the boot takes, and what an emulated clock loses.
        let seconds: u64 = seconds.parse().unwrap();
        assert!(seconds.abs_diff(day.as_secs()) < 600, "{seconds}");
        let contradiction = format!("{direction} its security module's");
        assert!(rest.starts_with(&contradiction), "{console}");
        assert!(host.get("/health").is_none());
    }
}

#[test]
fn operators_give_a_nitro_machine_its_root_key_and_another_takes_over() {
    let _turn = one_at_a_time();
    let (Some(debian), Some(qemu)) = (parts::debian(), parts::nitro_qemu()) else {
        return;
    };
    let host = Host::start();
    let authority = signer::authority();
    let signer = host.file("signer.sock");
    signer::serve(authority.clone(), &signer);
    let root = authority.certificate_pem().unwrap();
    fs::write(host.file("nsm-ca.pem"), &root).unwrap();
    let mut settings = json!({
        "listen": "vsock:any:5000",
        "host": "vsock:3:5001",
        "account": "123456789012",
        "tls": {},
        "nsm": { "emulated": { "root": root } },
        "trust": { "aws": false },
        "root_key": "quorum",
    });
    let image = host.file("enclave.eif");
    fs::write(&image, eif(debian, &settings.to_string(), &[])).unwrap();
    let measured = Command::new(claviger_tests::claviger())
        .args(["image", "pcrs"])
        .arg(&image)
        .output()
        .unwrap();
    fs::write(host.file("release.json"), measured.stdout).unwrap();
    settings["limits"] = json!({ "requests": 1000 });
    let other_image = host.file("other.eif");
    fs::write(&other_image, eif(debian, &settings.to_string(), &[])).unwrap();
    let board = |image| Board::Nitro {
        qemu: qemu.clone(),
        image,
        signer: signer.clone(),
        clock: None,
    };
    let play = |step| {
        suite::pytest_with("test_nitro_operators.py", |command| {
            command
                .args(["-k", step])
                .env("CLAVIGER_URL", host.https_url())
                .env("CLAVIGER_FOLDER", host.file(""));
        });
    };
    let (board, other_board) = (board(image), board(other_image));

    let mut machine = Machine::boot(&board, &host);
    host.wait_until_operators_can(&mut machine);
    play("genesis");
    // The key goes with the machine's memory.
    drop(machine);
    let mut machine = Machine::boot(&board, &host);
    host.wait_until_operators_can(&mut machine);
    play("unsealing");

    // No other image gets it, but another machine of the same one.
    let second = Machine::boot_beside(&other_board, &host);
    second.wait_until_it_says("SEALED");
    play("another_image");
    drop(second);
    let second = Machine::boot_beside(&board, &host);
    second.wait_until_it_says("SEALED");
    play("takes_over");
    assert!(machine.wait().success());
}

/// The image, with further files for the test alone.
fn eif(debian: &parts::Debian, settings: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let kernel = fs::read(&debian.kernel).expect("the kernel");
    let metadata = Metadata::new("claviger", "test");
    let ramdisks = parts::ramdisks(debian, settings.as_bytes(), files);
    let mut eif = Eif::new(Architecture::X86_64, &kernel, COMMAND_LINE).with_metadata(&metadata);
    // The last one holds those files.
    let count = if files.is_empty() { 2 } else { 3 };
    for ramdisk in &ramdisks[..count] {
        eif = eif.with_ramdisk(ramdisk);
    }
    eif.to_bytes().expect("an image")
}

fn settings(nsm: &Value, roots: &[String]) -> String {
    json!({
        "listen": "vsock:any:5000",
        "host": "vsock:3:5001",
        "account": "123456789012",
        "nsm": nsm,
        "trust": { "aws": false, "roots": roots },
        "root_key": { "dev_file": format!("/{}", ROOT_KEY.0) },
        "seed": { "users": [{
            "name": "tester",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
        }]},
    })
    .to_string()
}

/// The AWS CLI, boto3, and documents under the authority in `nsm-ca.pem`.
fn run_clients(host: &Host) {
    suite::pytest_with("test_nitro.py", |command| {
        command
            .env("CLAVIGER_URL", host.url())
            .env("CLAVIGER_NSM_CA", host.file("nsm-ca.pem"));
    });
}

/// The enclave's own document, checked by the verifier that the enclave itself uses.
fn own_document(host: &Host, root: TrustRoot) -> VerifiedDocument {
    let document = host.get("/attestation?nonce=c1a71c1a").expect("a document");
    let verifier = Verifier::new(vec![root], VerifyOptions::default());
    let verified = verifier
        .verify(&document, signer::now())
        .expect("a valid document");
    assert_eq!(verified.nonce(), Some(&[0xc1, 0xa7, 0x1c, 0x1a][..]));
    verified
}

/// A data key, as only its server can open it.
struct Sealed {
    blob: Value,
    plaintext: Value,
}

fn generate(host: &Host) -> Sealed {
    let mut connection = Connection::open(&host.caller()).expect("a connection");
    let (status, made) = connection.call("CreateKey", &json!({})).expect("an answer");
    assert_eq!(status, 200, "{made}");
    let request = json!({ "KeyId": made["KeyMetadata"]["KeyId"], "KeySpec": "AES_256" });
    let (status, answer) = connection
        .call("GenerateDataKey", &request)
        .expect("an answer");
    assert_eq!(status, 200, "{answer}");
    Sealed {
        blob: answer["CiphertextBlob"].clone(),
        plaintext: answer["Plaintext"].clone(),
    }
}

impl Sealed {
    fn opens(&self, host: &Host) {
        let mut connection = Connection::open(&host.caller()).expect("a connection");
        let request = json!({ "CiphertextBlob": self.blob });
        let (status, answer) = connection.call("Decrypt", &request).expect("an answer");
        assert_eq!((status, &answer["Plaintext"]), (200, &self.plaintext));
    }
}
