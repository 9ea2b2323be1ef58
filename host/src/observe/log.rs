//! The host's log: one line an event on standard error, filtered by `TANDEM_LOG` (`info` by default).

use tracing_subscriber::EnvFilter;

/// Begins to log; as one JSON object a line where that is wanted, or `TANDEM_LOG_FORMAT=json` says so.
///
/// # Errors
/// `TANDEM_LOG` is no filter, or a log was begun before.
pub fn begin(json: bool) -> anyhow::Result<()> {
    let filter = match std::env::var("TANDEM_LOG") {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| anyhow::anyhow!("TANDEM_LOG=`{text}`: {error}"))?,
        Err(_) => EnvFilter::new("info"),
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let result = match json || std::env::var("TANDEM_LOG_FORMAT").is_ok_and(|format| format == "json") {
        true => log.json().try_init(),
        false => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    result.map_err(|error| anyhow::anyhow!("the log: {error}"))
}
