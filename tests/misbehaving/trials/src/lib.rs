//! A component that fails its examination in whichever way it is told: by its configuration when it starts, and by the
//! environment when it is loaded.

mod acts;

use std::process::Command;
use std::thread;
use std::time::Duration;

use acts::Deed;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use tandem_component::prelude::*;

/// What it is to do when it starts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    act: Act,
    /// What it does first.
    deed: Option<Deed>,
    #[serde(default)]
    routes: Vec<Route>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    #[allow(dead_code, reason = "it is there to be missing")]
    path: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Nothing,
    Refuse,
    Panic,
    Hang,
    Exit,
    Crash,
    Print,
    StartThread,
    StartProcess,
    StartProcessAway,
    PanicWhenStopped,
    CrashWhenStopped,
}

struct Misbehaving {
    act: Act,
}

#[derive(Serialize, Deserialize)]
struct Conversation;

export_component!(Misbehaving);

impl Component for Misbehaving {
    type Config = Config;
    type Session = Conversation;
    const POLICY: Policy = Policy::Renew;

    fn start(config: Config, starting: &Starting<'_>) -> Result<Self, Refusal> {
        config.deed.map_or(Ok(()), acts::commit)?;
        match config.act {
            Act::Refuse => Err(format!("routes is empty, {} of them; name one", config.routes.len()).into()),
            Act::Panic => panic!("not today"),
            Act::Print => {
                println!("{{\"passed\":{{\"lingers\":null}}}}\nprinted for {}", starting.service);
                die("and then it died")
            }
            Act::StartThread => {
                let thread = thread::Builder::new().name("of-component".into());
                drop(thread.spawn(|| thread::sleep(Duration::from_secs(60))));
                Ok(Misbehaving { act: config.act })
            }
            // What it says and hears goes on to the process, as with any that is started so.
            Act::StartProcess => start_process(Command::new("sleep").arg("4711"), config.act),
            Act::StartProcessAway => start_process(Command::new("setsid").args(["sleep", "5"]), config.act),
            Act::Hang => hang(),
            Act::Exit => std::process::exit(7),
            Act::Crash => crash(),
            act @ (Act::Nothing | Act::PanicWhenStopped | Act::CrashWhenStopped) => Ok(Misbehaving { act }),
        }
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

impl Session for Conversation {
    type Component = Misbehaving;
    type Then = ();

    fn handle(&mut self, _: &Misbehaving, _: Event<'_, ()>, _: &mut Out<'_, Self>) -> Result<(), Fault> {
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        match self.act {
            Act::PanicWhenStopped => panic!("not even now"),
            Act::CrashWhenStopped => crash(),
            _ => {}
        }
    }
}

/// Runs when the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn construct() {
        let Ok(name) = std::env::var("TANDEM_TEST_CONSTRUCTOR") else { return };
        let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        match Deed::deserialize(name) {
            Ok(deed) => eprintln!("{:?}", acts::commit(deed)),
            Err(_) => crash(),
        }
    }
    construct
};

fn start_process(command: &mut Command, act: Act) -> Result<Misbehaving, Refusal> {
    command.spawn().map(|_| Misbehaving { act }).map_err(|error| format!("no process: {error}").into())
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

fn crash() -> ! {
    // SAFETY: there is nothing at this address: the process ends here, which is what it is for.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    std::process::abort();
}

fn die(words: &str) -> ! {
    eprintln!("{words}");
    std::process::abort();
}
