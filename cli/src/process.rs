//! One of the server's processes: started from this binary, watched, stopped.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::server::StartError;

/// How long a process may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A process that runs a hidden subcommand of this binary. It lives as long as
/// its standard input is open, so it never outlives this process. Dropping it
/// kills it.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    // Not left in `child`, which closes it whenever somebody waits.
    input: Option<ChildStdin>,
}

impl Process {
    /// Starts the subcommand `name` with these arguments.
    pub(crate) fn start(name: &'static str, arguments: &[&str], log: Stdio) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(name)
            .args(arguments)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take();
        Ok(Self { name, child, input })
    }

    /// What it prints. `None` the second time.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its number, as long as it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Why it has ended, if it has.
    pub(crate) fn has_ended(&mut self) -> io::Result<Option<StartError>> {
        let status = self.child.try_wait()?;
        Ok(status.map(|status| self.ended_with(status)))
    }

    /// Waits until it ends by itself, and says how.
    pub(crate) async fn ended(&mut self) -> StartError {
        match self.child.wait().await {
            Ok(status) => self.ended_with(status),
            Err(error) => error.into(),
        }
    }

    /// Tells it to stop and waits until it has.
    ///
    /// # Errors
    /// When it ends with an error, or doesn't end in time: it is killed then.
    pub(crate) async fn stop(&mut self) -> Result<(), StartError> {
        drop(self.input.take());
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.ended_with(status)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                self.child.kill().await?;
                Err(StartError::StopTimedOut(self.name))
            }
        }
    }

    fn ended_with(&self, status: std::process::ExitStatus) -> StartError {
        StartError::Ended {
            name: self.name,
            status: status.to_string(),
        }
    }
}
