//! Signals and commands that come at once: each is answered, they are done in some order, one after the other, and no traffic notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::{Gateway, fixture, free_port, settled};

const FILE: &str = "libmisbehaving_turncoat.so";
const NAME: &str = "misbehaving-turncoat";
const ROUNDS: usize = 6;

#[test]
fn reloads_rollbacks_and_promotions_at_once_are_done_one_after_the_other() {
    let place = Place::start("");
    place.with_traffic(|| {
        for round in 1..=ROUNDS {
            let version = format!("1.0.{round}");
            place.gateway.deploy_stamped(&fixture("turncoat"), &version);
            let said = place.at_once(&[&["reload"], &["reload"], &["rollback", NAME], &["promote", NAME], &["status"]]);
            for (command, code, said) in &said {
                // A rollback may have nowhere to go to, or may have been done already: it says so.
                assert!(
                    *code == Some(0) || command == "rollback" && *code == Some(1) && !said.is_empty(),
                    "{command}: {said}"
                );
            }
            // Whatever the order was, one serves, and an operator's word is the last.
            assert_eq!(place.active().len(), 1, "{said:?}");
            assert!(place.gateway.tandem(&["promote", NAME]).status.success());
            assert!(place.gateway.reload().ok);
            assert_eq!(place.active(), [version]);
        }
    });
    // What serves, and the way back.
    settled(2, || place.gateway.maps().len());
}

#[test]
fn a_canary_is_withdrawn_by_a_rollback_whatever_comes_beside_it() {
    let place = Place::start("canary = { share = \"50%\", for = \"1h\" }");
    place.with_traffic(|| {
        for round in 1..=ROUNDS {
            let version = format!("1.0.{round}");
            place.gateway.deploy_stamped(&fixture("turncoat"), &version);
            let reload = place.gateway.reload();
            assert_eq!((reload.ok, reload.file(FILE).outcome.as_str()), (true, "tried"), "{reload:?}");

            let said = place.at_once(&[&["reload"], &["rollback", NAME], &["reload"], &["rollback", NAME]]);

            let rolled = said.iter().filter(|(command, code, _)| command == "rollback" && *code == Some(0)).count();
            assert_eq!(rolled, 1, "one withdraws it, the other has nothing to withdraw: {said:?}");
            assert!(said.iter().all(|(command, code, _)| command == "rollback" || *code == Some(0)), "{said:?}");
            assert_eq!(place.active(), ["1.0.0"]);
            settled(true, || ["retired", "withdrawn"].contains(&place.stage(&version).as_str()));
        }
    });
    settled(1, || place.gateway.maps().len());
    assert_eq!(place.gateway.status().count("version-withdrawn"), ROUNDS as u64);
}

struct Place {
    gateway: Gateway,
    port: u16,
}

impl Place {
    fn start(more: &str) -> Self {
        let port = free_port();
        let builder = Gateway::builder().toml(&format!(
            "workers = 2\n[service.it]\ncomponent = \"{NAME}\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\n\
             [component.{NAME}]\nversions = {{ keep = 1 }}\n{more}\n"
        ));
        let first = builder.scratch("first.so");
        support::stamp(&fixture("turncoat"), &first, "1.0.0").unwrap();
        Place { gateway: builder.library_as(&first, FILE).start(), port }
    }

    /// Gives these commands at once, with two signals beside them. What each of them was answered.
    fn at_once(&self, commands: &[&[&str]]) -> Vec<(String, Option<i32>, String)> {
        thread::scope(|scope| {
            self.gateway.sighup();
            let given: Vec<_> = commands.iter().map(|command| scope.spawn(|| self.gateway.tandem(command))).collect();
            self.gateway.sighup();
            let answers = given.into_iter().map(|given| given.join().expect("each is answered"));
            let answers = commands.iter().zip(answers);
            answers
                .map(|(command, output)| {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    (command[0].to_owned(), output.status.code(), said)
                })
                .collect()
        })
    }

    /// Does it while sessions go on that count their lines, and while others begin.
    fn with_traffic(&self, work: impl FnOnce()) {
        let over = AtomicBool::new(false);
        /// Ends the traffic also where the work has failed.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        thread::scope(|scope| {
            let talks: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut old = self.gateway.connect(self.port);
                        let mut count = 0;
                        while !over.load(Ordering::Relaxed) {
                            old.send(b"line\n").unwrap();
                            count += 1;
                            let answer = old.line().unwrap();
                            assert_eq!(answer.split_once(' ').unwrap().1, count.to_string(), "{answer}");
                            let mut new = self.gateway.connect(self.port);
                            new.send(b"line\n").unwrap();
                            assert_eq!(new.line().unwrap().split_once(' ').unwrap().1, "1");
                        }
                        count
                    })
                })
                .collect();
            let ends = Over(&over);
            work();
            drop(ends);
            let said: Vec<u64> = talks.into_iter().map(|talk| talk.join().expect("nothing is lost")).collect();
            assert!(said.iter().all(|count| *count > ROUNDS as u64), "{said:?}");
        });
        assert_eq!(self.gateway.status().count("session-broken"), 0);
    }

    fn active(&self) -> Vec<String> {
        self.gateway.status().numbers(NAME, "active").into_iter().map(str::to_owned).collect()
    }

    fn stage(&self, number: &str) -> String {
        let versions = self.gateway.status().versions;
        versions.into_iter().find(|one| one.number == number).map_or_else(|| "retired".to_owned(), |one| one.stage)
    }
}
