//! The parts of long messages of phones, for accounts that want them joined: [`PIECES`] keeps them until all are there, or the time
//! for it is up.
//!
//! A part that comes twice has one row. Whoever sees all of them makes one message of them, whose name is theirs: of two that see
//! them at once one is first.

use tandem_component::prelude::*;
use tandem_sms::text::{Content, Joined, Part, UDHI, join};
use tandem_sms::tlv::{self, MESSAGE_PAYLOAD};
use tandem_sms::{Sms, status};

use crate::Messaging;
use crate::desk::Desk;
use crate::incoming::{INCOMING, Incoming};
use crate::message::{after, name, name_by_key, nanos};
use crate::receiving::answer;
use crate::then::Then;

/// The parts that are there.
pub const PIECES: Table = Table {
    name: "pieces",
    key: &["whole", "number"],
    columns: &[
        // The message: its account, its addresses, and what its parts have in common.
        Column::new("whole", Kind::Text).indexed(),
        Column::new("number", Kind::Integer),
        Column::new("account", Kind::Text),
        Column::new("sms", Kind::Nested),
        Column::new("due_at", Kind::Integer).indexed(),
    ],
};

/// A row of [`PIECES`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Piece {
    whole: String,
    number: u8,
    account: String,
    sms: Sms,
    due_at: i64,
}

impl Desk {
    /// Keeps a part of a long message. False where it is none, or the account does not want them joined.
    pub(crate) fn take_piece(
        &mut self,
        m: &Messaging,
        asked: RequestId,
        account: &str,
        sms: &Sms,
        out: &mut Out<'_, Desk>,
    ) -> bool {
        let Ok(Content { part: Some(Part { reference, total: total @ 2.., number }), .. }) = Content::of(sms) else {
            return false;
        };
        if !m.config.joins_for(account) {
            return false;
        }
        let (from, to) = (&sms.source.digits, &sms.destination.digits);
        let whole = format!("{account}\u{1}{from}\u{1}{to}\u{1}{reference}/{total}");
        let (account, due_at) = (account.to_owned(), after(nanos(out.now()), m.config.join_within));
        out.put(&PIECES, &Piece { whole: whole.clone(), number, account, sms: sms.clone(), due_at });
        let scan = Scan::of(&PIECES).by("whole").at(&whole).limit(u32::from(u8::MAX));
        out.scan(&scan, Then::Pieces { asked, total });
        true
    }

    /// All parts that are there.
    pub(crate) fn pieces(
        &mut self,
        m: &Messaging,
        (asked, total): (RequestId, u8),
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let (Answer::Rows(rows), false) = (found, failed) else {
            answer(asked, status::LATER, out);
            return Ok(());
        };
        let pieces = rows.read::<Piece>()?;
        if pieces.len() < usize::from(total) {
            answer(asked, status::OK, out);
            return Ok(());
        }
        let incoming = self.incoming(m, joined_name(&pieces), &pieces[0].account, whole(&pieces), out.now());
        pieces.iter().for_each(|piece| out.delete(&PIECES, &(&piece.whole, piece.number)));
        let then = Then::Joined { asked, incoming: Box::new(incoming.clone()) };
        out.insert(&INCOMING, &incoming, then);
        Ok(())
    }

    /// Whether we were the first who have seen them all.
    pub(crate) fn joined(
        &mut self,
        m: &Messaging,
        (asked, incoming): (RequestId, Incoming),
        changed: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) {
        match changed {
            Answer::Changed(first) => {
                answer(asked, status::OK, out);
                if first && !failed {
                    self.hand_on_if_resident(m, incoming, out);
                }
            }
            _ => answer(asked, status::LATER, out),
        }
    }

    /// Looks for parts whose others have not come in time.
    pub(crate) fn look_for_lone_pieces(&mut self, out: &mut Out<'_, Desk>) {
        let now = nanos(out.now());
        out.scan(&Scan::of(&PIECES).by("due_at").to(&now).limit(PAGE), Then::LonePieces);
    }

    /// They go on as they are. Two residents may find the same: a message by the name of its part is there once.
    pub(crate) fn lone_pieces(
        &mut self,
        m: &Messaging,
        found: Answer<'_>,
        failed: bool,
        out: &mut Out<'_, Desk>,
    ) -> Result<(), Fault> {
        let (Answer::Rows(rows), false) = (found, failed) else { return Ok(()) };
        for piece in rows.read::<Piece>()? {
            tracing::warn!(account = piece.account, "a part of a long message goes on alone: others have not come");
            out.delete(&PIECES, &(&piece.whole, piece.number));
            let id = joined_name(std::slice::from_ref(&piece));
            let incoming = self.incoming(m, id, &piece.account, piece.sms, out.now());
            // Due at once: whoever sweeps next hands it on.
            out.put(&INCOMING, &Incoming { due_at: nanos(out.now()), ..incoming });
        }
        Ok(())
    }
}

impl Desk {
    /// A message for an account, as it is kept.
    pub(crate) fn incoming(&self, m: &Messaging, id: String, account: &str, sms: Sms, now: Time) -> Incoming {
        Incoming::new(id, account, sms, (nanos(now), self.soon(now)), m.run)
    }
}

/// A name that is theirs.
fn joined_name(pieces: &[Piece]) -> String {
    let first = pieces.first().map_or("", |piece| piece.whole.as_str());
    let times =
        pieces.iter().fold(String::new(), |times, piece| times + &format!("{}.{},", piece.number, piece.due_at));
    name_by_key(first, &times)
}

/// The message that they are together, as the first of them but for what it says.
fn whole(pieces: &[Piece]) -> Sms {
    let mut pieces: Vec<&Piece> = pieces.iter().collect();
    pieces.sort_unstable_by_key(|piece| piece.number);
    let contents: Vec<Content<'_>> = pieces.iter().filter_map(|piece| Content::of(&piece.sms).ok()).collect();
    let octets: Vec<u8> = contents.iter().flat_map(|content| content.octets).copied().collect();
    let first = pieces.first().map(|piece| piece.sms.clone()).unwrap_or_default();
    let mut sms = Sms { esm_class: first.esm_class & !UDHI, tlvs: Vec::new(), short_message: Vec::new(), ..first };
    let one_alphabet = contents.windows(2).all(|pair| pair[0].alphabet == pair[1].alphabet);
    let octets = match join(&contents) {
        // In several alphabets: in the one that carries them all.
        Joined::Text(text) if !one_alphabet => {
            sms.data_coding = tandem_sms::Coding::Ucs2.data_coding();
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        }
        _ => octets,
    };
    // Up to 255 parts of 140 octets: it fits into a payload.
    tlv::write(&mut sms.tlvs, MESSAGE_PAYLOAD, &octets[..octets.len().min(usize::from(u16::MAX))]);
    sms
}

/// What a message says, where it is text.
pub(crate) fn text(sms: &Sms) -> Option<String> {
    Content::of(sms).ok()?.text()
}

/// A name for a message that came in one piece.
pub(crate) fn new_name(out: &mut Out<'_, Desk>) -> String {
    let chance = out.random();
    name(out.now(), chance)
}

/// So many are looked at in one go.
const PAGE: u32 = 100;
