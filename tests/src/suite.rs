//! Runs test suites written for other test runners.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::clients;

/// Longer than any suite takes on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Runs one file of `tests/python` with pytest.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn pytest(file: &str) {
    pytest_with(file, |_| {});
}

/// The same in an environment given by `configure`.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn pytest_with(file: &str, configure: impl FnOnce(&mut Command)) {
    let venv = clients::python();
    let folder = crate::workspace().join("tests/python");
    let mut command = Command::new(venv.join("bin/python"));
    command
        .args([
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--color=no",
            "-rs",
            "--durations=5",
            "--durations-min=2",
        ])
        .arg(folder.join(file))
        .current_dir(&folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CLAVIGER_BIN", crate::claviger());
    configure(&mut command);
    let output = run(file, &mut command);
    require_passed(file, &output);
}

/// Runs the tests that another emulator has for itself, and holds the outcome that
/// `tests/peers/<name>.toml` tells: first as they are, then those that are mended.
///
/// # Panics
///
/// When the outcome is another one, or no test passed.
pub fn peer(name: &str) {
    let installed = clients::peers();
    let tests = crate::workspace().join("tests");
    let modules = [tests.join("peers"), tests.join("python")];
    let modules = std::env::join_paths(modules).expect("paths without a colon");
    for (log, options) in [
        (name.to_owned(), &[][..]),
        (format!("{name}-mended"), &["--mended"][..]),
    ] {
        let mut command = Command::new(installed.join("bin/python"));
        command
            .args(["-m", "pytest", "-p", "peer", "--peer", name])
            .args(options)
            .arg("--rootdir=.")
            .arg("-c")
            .arg(tests.join("peers/pytest.ini"))
            .current_dir(installed.join("sources"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONPATH", &modules)
            .env("CLAVIGER_BIN", crate::claviger());
        let output = run(&log, &mut command);
        require_passed(&log, &output);
    }
}

/// Runs one file of `tests/node` with Node's own test runner, in an environment given by `configure`;
/// `name` tells apart several runs of the same file.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn node(name: &str, file: &str, configure: impl FnOnce(&mut Command)) {
    let installed = clients::node();
    // Node looks for packages beside the file that imports them.
    let copy = installed.join(file);
    fs::copy(crate::workspace().join("tests/node").join(file), &copy).expect("a copy of the suite");
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=tap"])
        .arg(&copy)
        .current_dir(installed);
    configure(&mut command);
    let output = run(name, &mut command);
    let passed = output.lines().find_map(|line| line.strip_prefix("# pass "));
    let passed: u32 = passed
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0);
    assert!(passed > 0, "{name}: no test passed");
}

/// Runs `tests/rust`: the AWS SDK for Rust. It is a package of its own, so that nobody else waits for
/// the SDK to compile.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn rust(configure: impl FnOnce(&mut Command)) {
    let folder = crate::workspace().join("tests/rust");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--locked", "--", "--nocapture"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", clients::folder("rust"));
    configure(&mut command);
    let output = run("rust", &mut command);
    assert!(output.contains("test result: ok. 1 passed"), "no test ran");
}

/// Runs `tests/go` with the AWS SDK for Go as Debian packages it, if it is installed.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn go(configure: impl FnOnce(&mut Command)) {
    const SDK: &str = "/usr/share/gocode/src/github.com/aws/aws-sdk-go-v2/service/kms";
    if !is_installed(
        "go",
        Path::new(SDK).exists(),
        "golang-go and golang-github-aws-aws-sdk-go-v2-dev",
    ) {
        return;
    }
    let mut command = Command::new("go");
    command
        .args(["test", "-count=1", "-v", "operations_test.go"])
        .current_dir(crate::workspace().join("tests/go"))
        // Debian's sources, and nothing from elsewhere.
        .envs([("GO111MODULE", "off"), ("GOPROXY", "off"), ("GOFLAGS", "")])
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", clients::folder("go"));
    configure(&mut command);
    let output = run("go", &mut command);
    assert!(output.contains("--- PASS: "), "no test ran");
}

/// Runs `tests/ruby` with the AWS SDK for Ruby as Debian packages it, if it is installed.
///
/// # Panics
///
/// When a test fails, or none ran.
pub fn ruby(configure: impl FnOnce(&mut Command)) {
    let mut sdk = Command::new("ruby");
    sdk.args(["-W0", "-e", "require 'aws-sdk-kms'"]);
    let has_sdk = sdk.stderr(Stdio::null()).status();
    if !is_installed(
        "ruby",
        has_sdk.is_ok_and(|status| status.success()),
        "ruby-aws-sdk-kms",
    ) {
        return;
    }
    let mut command = Command::new("ruby");
    // Debian's gems are older than its Ruby, which warns of that.
    command.args(["-W0", "operations_test.rb"]);
    command.current_dir(crate::workspace().join("tests/ruby"));
    configure(&mut command);
    let output = run("ruby", &mut command);
    assert!(output.contains(", 0 failures, 0 errors"), "no test ran");
}

/// Whether an SDK is there that only Debian brings. Without it a suite is skipped, which is said past
/// libtest's capture; CI installs all of them.
fn is_installed(name: &str, is_there: bool, packages: &str) -> bool {
    assert!(
        is_there || std::env::var_os("CI").is_none(),
        "{name}: install {packages}"
    );
    if !is_there {
        let mut report = std::io::stdout().lock();
        writeln!(report, "**** SKIPPED: {name}: install {packages}").expect("standard output");
    }
    is_there
}

/// Runs to the end or the time limit, shows what was printed, and returns it.
fn run(name: &str, command: &mut Command) -> String {
    let logs = crate::build_folder().join("test-logs");
    fs::create_dir_all(&logs).expect("the build folder can be written");
    let log = logs.join(Path::new(name).with_extension("log"));
    let file = File::create(&log).expect("a log file");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stderr(file.try_clone().expect("a second handle"))
        .stdout(file)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let status = loop {
        if let Some(status) = child.try_wait().expect("the suite can be waited for") {
            break Some(status);
        }
        if started.elapsed() > TIMEOUT {
            child.kill().expect("the suite can be stopped");
            child.wait().expect("the suite ends");
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let output = String::from_utf8_lossy(&fs::read(&log).expect("the log")).into_owned();
    // Past libtest's capture: what ran is part of the report even when all passed.
    let mut report = std::io::stdout().lock();
    writeln!(
        report,
        "---- {name} ({:.0} s)\n{output}",
        started.elapsed().as_secs_f32()
    )
    .expect("standard output");
    drop(report);
    let status =
        status.unwrap_or_else(|| panic!("{name}: still running after {} s", TIMEOUT.as_secs()));
    assert!(status.success(), "{name}: {status}");
    output
}

/// Holds that a run of pytest had a test that passed.
fn require_passed(name: &str, output: &str) {
    // "=== 12 passed, 1 skipped in 3.4s ===" closes the run.
    let closing = output
        .lines()
        .rev()
        .find(|line| line.contains(" in "))
        .unwrap_or_default();
    assert!(
        counted(closing, "passed") > 0,
        "{name}: no test passed: {closing:?}"
    );
}

/// The number before `word` in pytest's closing line.
fn counted(closing: &str, word: &str) -> u32 {
    let words: Vec<&str> = closing
        .split([' ', ',', '='])
        .filter(|word| !word.is_empty())
        .collect();
    let at = words.iter().position(|candidate| *candidate == word);
    at.and_then(|at| words.get(at.checked_sub(1)?))
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn pytests_closing_line_is_counted() {
        assert_eq!(
            counted("=== 1 failed, 12 passed, 3 skipped in 0.31s ===", "passed"),
            12
        );
        assert_eq!(counted("12 passed in 0.31s", "passed"), 12);
        assert_eq!(counted("=== no tests ran in 0.01s ===", "passed"), 0);
        assert_eq!(counted("", "passed"), 0);
    }
}
