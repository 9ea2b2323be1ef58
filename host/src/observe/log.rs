//! The host's log: one line an event on standard error, filtered by `TANDEM_LOG` (`info` by default).

use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For who reads it.
    Text,
    /// One JSON object a line, with `timestamp`, `level`, `target` and `fields`.
    Json,
}

/// Begins to log; as JSON where that is wanted, or `TANDEM_LOG_FORMAT=json` says so.
///
/// # Errors
/// `TANDEM_LOG` is no filter, `TANDEM_LOG_FORMAT` no form, or a log was begun before.
pub fn begin(json: bool) -> anyhow::Result<Form> {
    let filter = match std::env::var("TANDEM_LOG") {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| anyhow::anyhow!("TANDEM_LOG=`{text}`: {error}"))?,
        Err(_) => EnvFilter::new("info"),
    };
    let said = std::env::var("TANDEM_LOG_FORMAT").unwrap_or_default();
    let form = match (json, said.as_str()) {
        (true, _) | (_, "json") => Form::Json,
        (false, "" | "text") => Form::Text,
        (false, other) => anyhow::bail!("TANDEM_LOG_FORMAT=`{other}` is no form of a log; write json or text"),
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let result = match form {
        Form::Json => log.json().try_init(),
        Form::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    result.map_err(|error| anyhow::anyhow!("the log: {error}"))?;
    if form == Form::Json {
        // What std says of a panic is several lines, and no JSON.
        std::panic::set_hook(Box::new(panicked));
    }
    Ok(form)
}

/// A panic of the host's own.
fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    let message = info.payload_as_str().unwrap_or("a payload that is no text");
    tracing::error!(at, thread, "panicked: {message}");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::panicked;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_of_the_host_is_one_line_of_json() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(panicked));
        let result = tracing::subscriber::with_default(log, || std::panic::catch_unwind(|| panic!("one\n\"two\"")));
        std::panic::set_hook(before);
        assert!(result.is_err());
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(text.trim_end_matches('\n')).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["fields"]["message"], "panicked: one\n\"two\"");
        assert!(line["fields"]["at"].as_str().unwrap().contains("log.rs:"), "{text}");
    }
}
