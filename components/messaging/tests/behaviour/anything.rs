//! Whatever happens, in whatever order: each message that was accepted ends once, is counted once, and whoever wanted to know was told.

use std::time::Duration;

use serde_json::json;
use tandem_sms::{State, Submit, status};

use crate::support::*;
use crate::world::{Random, World};

#[test]
fn whatever_happens_no_message_is_lost_and_none_ends_twice() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    for round in 0..rounds {
        let one = seed.wrapping_add(round);
        let result = std::panic::catch_unwind(|| go_on(one));
        assert!(result.is_ok(), "SEED={one} ROUNDS=1");
    }
}

fn go_on(seed: u64) {
    let mut config = config();
    config["keep"] = "1d".into();
    config["validity"] = "2m".into();
    let mut random = Random(seed.rotate_left(17) | 1);
    if random.one_in(3) {
        config["on_uncertain"] = "hold".into();
    }
    if random.one_in(2) {
        config["routes"][0]["to"] = json!({ "smsc-a": 2, "smsc-b": 1 });
    }
    if random.one_in(2) {
        config["networks"]["smsc-a"]["window"] = (1 + random.below(3)).into();
    }
    // It is believed when it takes a message, and what it says later all the same is taken from it.
    if random.one_in(3) {
        config["networks"]["smsc-a"]["receipts"] = false.into();
    }
    let mut world = World::new(&config, seed);
    for _ in 0..70 {
        step(&mut world);
        world.look();
    }
    world.store(true);
    world.calm = true;
    end(&mut world);
    // Those that are held wait for an hour; what nobody needs any more goes after a day.
    world.restart(Duration::from_secs(6 * 3600));
    end(&mut world);
    assert!(world.is_answered());
    assert!(world.is_done(), "{:?}", world.desk(0).messages());
    world.look_back();
    world.restart(Duration::from_secs(2 * 86_400));
    world.wait(SECOND * 10);
    let desk = world.desk(0);
    assert_eq!((desk.messages(), desk.parts(), desk.incoming()), (vec![], vec![], vec![]));
    world.look_back();
}

fn step(world: &mut World) {
    let at = world.random.below(2);
    match world.random.below(22) {
        0..5 => {
            let submit = drawn(world);
            world.submit(at, submit);
        }
        5..11 => drop(world.answer(at)),
        11..13 if !world.receipts.is_empty() => {
            let n = world.random.below(world.receipts.len());
            let said = world.receipts[n].clone();
            // Some are said twice.
            if world.report(at, &said) && !world.random.one_in(4) {
                world.receipts.swap_remove(n);
            }
        }
        13 if !world.messages.is_empty() => {
            let n = world.random.below(world.messages.len());
            let (id, before) = world.messages.iter().nth(n).map(|(id, state)| (id.clone(), *state)).unwrap();
            let cancelled = world.desk(at).cancel("acme", &id);
            assert!(cancelled != status::OK || before.is_none_or(|state| state == State::Deleted), "{before:?}");
        }
        14 => world.phone(at),
        15 => {
            let works = world.random.one_in(2);
            world.store(works);
        }
        16 => {
            let span = world.random.below(45);
            world.wait(SECOND * u32::try_from(span).unwrap());
        }
        17 if world.random.one_in(3) => {
            let after = world.random.below(100);
            world.restart(SECOND * u32::try_from(after + 1).unwrap());
        }
        18 if world.random.one_in(3) => world.reopen(at),
        19 => world.store(true),
        _ => {
            let span = world.random.below(3000);
            world.wait(Duration::from_millis(u64::try_from(span + 1).unwrap()));
        }
    }
}

/// A message of acme.
fn drawn(world: &mut World) -> Submit {
    let mut submit = submit("hello");
    submit.sms.registered_delivery = u8::try_from(world.random.below(3)).unwrap();
    if world.random.one_in(3) {
        submit.key = Some(format!("k{}", world.random.below(4)));
    }
    if world.random.one_in(4) {
        submit.sms.schedule = format!("0000000000{:02}000R", world.random.below(60));
    }
    if world.random.one_in(3) {
        submit.sms.validity = format!("0000000001{:02}000R", world.random.below(60));
    }
    if world.random.one_in(4) {
        submit.sms.short_message.clear();
        submit.text = Some("Twice as long as it may be. ".repeat(9));
    }
    submit
}

/// Nothing goes wrong any more, until all is done that can be.
fn end(world: &mut World) {
    for _ in 0..200 {
        for at in 0..2 {
            while world.answer(at) {}
        }
        for said in std::mem::take(&mut world.receipts) {
            if !world.report(0, &said) {
                world.receipts.push(said);
            }
        }
        world.look();
        if world.is_done() && world.receipts.is_empty() {
            break;
        }
        world.wait(SECOND);
    }
}
