//! The process that examines, with whatever it starts: spoken with, and ended as a whole.
//!
//! Nobody reads or writes for longer than [`Group::end`] lets him, whoever else holds the other end.

use std::io;
use std::process::{Command, ExitStatus};

#[cfg(unix)]
pub(super) use unix::*;
#[cfg(not(unix))]
pub(super) use without_groups::*;

/// What a spawned child is spoken with by: its standard input, output and error.
pub(super) type Talk = (To, From, From);

/// What had to be ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing but the child itself, if that.
    #[default]
    Nothing,
    /// Processes that the child had started.
    Processes,
}

#[cfg(unix)]
mod unix {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt as _;
    use std::process::Child;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::*;

    pub(in super::super) type From = UnixStream;

    /// What is written to the child, which reads to its end.
    pub(in super::super) struct To(UnixStream);

    impl Write for To {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl Drop for To {
        fn drop(&mut self) {
            // The other side may have gone.
            let _ = self.0.shutdown(Shutdown::Write);
        }
    }

    /// A child in a process group of its own.
    pub(in super::super) struct Group {
        child: Child,
        ours: [UnixStream; 2],
    }

    impl Group {
        /// Starts it. Sockets and no pipes, because one's own end of these can be shut down.
        pub(in super::super) fn spawn(mut command: Command) -> io::Result<(Self, Talk)> {
            let ((ours, theirs), (errors, their_errors)) = (UnixStream::pair()?, UnixStream::pair()?);
            command.stdin(OwnedFd::from(theirs.try_clone()?)).stdout(OwnedFd::from(theirs));
            let child = command.stderr(OwnedFd::from(their_errors)).process_group(0).spawn()?;
            let talk = (To(ours.try_clone()?), ours.try_clone()?, errors.try_clone()?);
            Ok((Group { child, ours: [ours, errors] }, talk))
        }

        /// How the child has ended, if it has.
        pub(in super::super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
            self.child.try_wait()
        }

        /// Ends the child, if it has not, and whatever it has started and left.
        pub(in super::super) fn kill(&mut self) -> io::Result<Left> {
            // The number is the group's as long as one process is in it. Where there is none, it would have to be that of
            // a group that was made since.
            let group = Pid::from_child(&self.child);
            let mut left = Left::Nothing;
            if self.child.try_wait()?.is_none() {
                let _ = kill_process_group(group, Signal::KILL);
                self.child.wait()?;
            }
            if kill_process_group(group, Signal::KILL).is_ok() {
                left = Left::Processes;
            }
            Ok(left)
        }

        /// Who still reads or writes comes to an end.
        pub(in super::super) fn hang_up(&self) {
            for end in &self.ours {
                // The other side may have gone.
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Where processes have no groups, the child is all that is ended.
#[cfg(not(unix))]
mod without_groups {
    use std::process::{Child, ChildStdin, Stdio};

    use super::*;

    pub(in super::super) type To = ChildStdin;
    pub(in super::super) type From = Box<dyn io::Read + Send>;

    /// A child.
    pub(in super::super) struct Group {
        child: Child,
    }

    impl Group {
        /// Starts it.
        pub(in super::super) fn spawn(mut command: Command) -> io::Result<(Self, Talk)> {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            let (Some(stdin), Some(stdout), Some(stderr)) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take())
            else {
                return Err(io::Error::other("it has no pipes"));
            };
            Ok((Group { child }, (stdin, Box::new(stdout), Box::new(stderr))))
        }

        /// How the child has ended, if it has.
        pub(in super::super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
            self.child.try_wait()
        }

        /// Ends the child, if it has not.
        pub(in super::super) fn kill(&mut self) -> io::Result<Left> {
            if self.child.try_wait()?.is_none() {
                self.child.kill()?;
                self.child.wait()?;
            }
            Ok(Left::Nothing)
        }

        /// The pipes end with the last who has them.
        pub(in super::super) fn hang_up(&self) {}
    }
}
