//! `claviger image`: enclave images and their measurements.

use std::fs;
use std::path::{Path, PathBuf};

use ::image::eif::Eif;
use ::image::executable::{is_elf, static_executable};
use ::image::measurements::{Measurements, Pcr};
use ::image::metadata::Metadata;
use ::image::ramdisk::{self, Module};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::screen::print;

/// What to do with images.
#[derive(Subcommand)]
pub enum Command {
    /// Build an image (EIF), the same from the same parts; prints its measurements
    // `--version` is the image's here.
    #[command(disable_version_flag = true)]
    Build(BuildOptions),
    /// Print the measurements of an image
    Pcrs(PcrsOptions),
}

/// Options of `image build`.
#[derive(Args)]
pub struct BuildOptions {
    /// The kernel: a bzImage, or an Image for aarch64
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// The kernel's command line
    #[arg(long, value_name = "TEXT", required_unless_present = "cmdline_file")]
    cmdline: Option<String>,
    /// A file with the kernel's command line
    #[arg(long, value_name = "FILE", conflicts_with = "cmdline")]
    cmdline_file: Option<PathBuf>,
    /// A kernel module to load, not compressed (repeatable, in the order of loading)
    #[arg(long = "module", value_name = "FILE")]
    modules: Vec<PathBuf>,
    /// The enclave's program: one static executable
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The enclave's settings, which become part of what is measured
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to write the image
    #[arg(long, value_name = "FILE.eif")]
    output: PathBuf,
    /// The image's name, which is not measured
    #[arg(long, value_name = "NAME", default_value = "claviger")]
    name: String,
    /// The image's version, which is not measured
    #[arg(long, value_name = "V", default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
    /// Allow settings that are for simulation: such an image protects nothing
    #[arg(long)]
    simulation: bool,
}

/// Options of `image pcrs`.
#[derive(Args)]
pub struct PcrsOptions {
    /// The image
    #[arg(value_name = "FILE.eif")]
    image: PathBuf,
    /// The ARN of the parent instance's IAM role, for PCR3
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// The parent instance's id, for PCR4
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
}

/// Runs one of them.
///
/// # Errors
/// When a file can't be read or written, a part can't be in an image, or a
/// file is not an image.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Build(options) => build(options),
        Command::Pcrs(options) => pcrs(options),
    }
}

fn build(options: BuildOptions) -> Result<(), Failure> {
    let kernel = read(&options.kernel)?;
    let command_line = match (options.cmdline, &options.cmdline_file) {
        (Some(text), _) => text,
        (None, Some(path)) => String::from_utf8(read(path)?)
            .map_err(|_| format!("{}: not text", path.display()))?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        (None, None) => String::new(),
    };
    let program = read(&options.binary)?;
    let architecture = static_executable(&program)
        .map_err(|error| format!("{}: {error}", options.binary.display()))?;
    let settings = read_settings(&options.config, options.simulation)?;
    let modules = options
        .modules
        .iter()
        .map(|path| read_module(path))
        .collect::<Result<Vec<_>, _>>()?;
    let modules: Vec<_> = modules
        .iter()
        .map(|(name, content)| Module { name, content })
        .collect();

    let metadata = Metadata::new(options.name, options.version)
        .built_at(build_time()?)
        .ok_or("SOURCE_DATE_EPOCH is after the year 9999")?
        .with_kernel(&kernel);
    let first = ramdisk::first(&modules)?;
    let second = ramdisk::second(&program, &settings)?;
    let file = Eif::new(architecture, &kernel, &command_line)
        .with_metadata(&metadata)
        .with_ramdisk(&first)
        .with_ramdisk(&second)
        .to_bytes()?;
    // What is printed is measured from the file as anybody else will read it.
    let text = measure(&file)?;
    fs::write(&options.output, &file)
        .map_err(|error| format!("{}: {error}", options.output.display()))?;
    print_measurements(text)
}

fn pcrs(options: PcrsOptions) -> Result<(), Failure> {
    let file = read(&options.image)?;
    let mut measurements =
        measure(&file).map_err(|error| format!("{}: {error}", options.image.display()))?;
    if let Some(arn) = options.role_arn {
        measurements.insert("PCR3".into(), Pcr::of_role(&arn).to_string().into());
    }
    if let Some(id) = options.instance_id {
        measurements.insert("PCR4".into(), Pcr::of_instance(&id).to_string().into());
    }
    print_measurements(measurements)
}

/// The measurements of an image, under the names that `nitro-cli` gives them.
fn measure(file: &[u8]) -> Result<Map<String, Value>, Failure> {
    let measured = Measurements::of(&Eif::parse(file)?)?;
    let mut names = Map::new();
    names.insert("HashAlgorithm".into(), "Sha384 { ... }".into());
    for (name, pcr) in [
        ("PCR0", Some(measured.pcr0)),
        ("PCR1", Some(measured.pcr1)),
        ("PCR2", Some(measured.pcr2)),
        ("PCR8", measured.pcr8),
    ] {
        if let Some(pcr) = pcr {
            names.insert(name.into(), pcr.to_string().into());
        }
    }
    Ok(names)
}

/// Prints as `nitro-cli build-enclave` does.
fn print_measurements(measurements: Map<String, Value>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&json!({ "Measurements": measurements }))?;
    print(&format!("{text}\n"))?;
    Ok(())
}

/// The settings as they are in the file, if an enclave can start with them.
fn read_settings(path: &Path, simulation: bool) -> Result<Vec<u8>, Failure> {
    let text = read(path)?;
    let config = enclave::Config::from_json(&text)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let simulated = config.simulation_settings();
    if !simulation && !simulated.is_empty() {
        return Err(format!(
            "{}: {} is for simulation, and a release build refuses it. With --simulation the image \
             is built all the same, for a program that has the feature; it protects nothing",
            path.display(),
            simulated.join(", ")
        )
        .into());
    }
    if !simulation && config.tls.is_none() {
        return Err(format!(
            "{}: without `tls` the host would read everything, and a release build refuses that",
            path.display()
        )
        .into());
    }
    Ok(text)
}

/// A module's name and content.
fn read_module(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let content = read(path)?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str()?.strip_suffix(".ko"))
        .filter(|_| is_elf(&content));
    let name = name.ok_or_else(|| {
        format!(
            "{}: not a kernel module named NAME.ko; if it is compressed, unpack it",
            path.display()
        )
    })?;
    Ok((name.to_owned(), content))
}

/// When the image says that it was made: never now, which no second build could repeat.
/// (reproducible-builds.org, "`SOURCE_DATE_EPOCH`".)
fn build_time() -> Result<u64, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => Ok(text
            .parse()
            .map_err(|_| "SOURCE_DATE_EPOCH is not a number of seconds since 1970")?),
        Err(_) => Ok(0),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?)
}
