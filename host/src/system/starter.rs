//! Who has started the process and looks after it, as systemd does: it is told how the process is, by the protocol of `sd_notify`.

use std::time::Duration;

use sd_notify::NotifyState;

use super::Progress;

/// Tells whoever has started the process, where it wants to know.
pub fn tell(progress: Progress<'_>) {
    let told = states(progress).and_then(|states| sd_notify::notify(&states));
    if let Err(error) = told {
        // Who does not listen is not told; it is in its own log as well.
        tracing::debug!(?progress, "NOTIFY_SOCKET: {error}");
    }
}

/// After how long without [`Progress::Alive`] whoever has started the process takes it for stuck, where it does that.
pub fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

fn states(progress: Progress<'_>) -> std::io::Result<Vec<NotifyState<'_>>> {
    Ok(match progress {
        Progress::Serving(status) => vec![NotifyState::Ready, NotifyState::Status(line(status))],
        Progress::Now(status) => vec![NotifyState::Status(line(status))],
        // When it began tells this reload from one before.
        Progress::Reloading => vec![NotifyState::Reloading, NotifyState::monotonic_usec_now()?],
        Progress::Stopping(within) => {
            let within = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
            vec![NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(within)]
        }
        Progress::Alive => vec![NotifyState::Watchdog],
    })
}

/// What follows on a line would be taken for another word of the protocol.
fn line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
