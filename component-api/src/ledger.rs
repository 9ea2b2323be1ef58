//! The account that a component gives of what it takes on, so that the host can check that nothing is lost: [`Ledger`].

/// How a component's tables tell what became of all that it has accepted.
///
/// For each version, `accepted = delivered + rejected + expired + cancelled + pending`, at every moment and also after a crash.
/// The host reads both tables in one snapshot and gives a notice where that is not so, so a component counts **in the event in
/// which it changes the row**: what an event writes is one transaction.
///
/// - [`totals`](Self::totals) has a row for each version: its key is that version alone, as [`Starting`](crate::Starting) says
///   it, and its columns are [`COUNTED`](Self::COUNTED) and [`MORE`](Self::MORE), numbers with the default 0.
/// - [`rows`](Self::rows) has a row for each thing that was accepted, for as long as it is pending at least. It belongs to the
///   version that has accepted it, whichever version brings it to an end.
///
/// ```
/// use tandem_component::prelude::*;
///
/// const LEDGER: Ledger = Ledger {
///     totals: "totals",
///     rows: "messages",
///     version: "version",
///     more: "more",
///     uncertain: "uncertain",
///     phase: "phase",
///     pending: &["queued", "sent"],
/// };
/// assert_eq!(Ledger::COUNTED[0], "accepted");
/// assert_eq!(LEDGER.pending.len(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The table of the totals.
    pub totals: &'static str,
    /// The table of what was accepted.
    pub rows: &'static str,
    /// Its column with the version that has accepted it: a text.
    pub version: &'static str,
    /// Its column with how many parts it has beyond its first, as they were counted when it was accepted: a number with the default 0,
    /// so that what a version accepted that did not count them adds up as well.
    pub more: &'static str,
    /// Its column that says whether somebody else may have it or not: true or false.
    pub uncertain: &'static str,
    /// Its column with what there is to be done about it: a text.
    pub phase: &'static str,
    /// What stands there while it is counted as accepted, and not as anything else.
    pub pending: &'static [&'static str],
}

impl Ledger {
    /// The columns of the totals that count what was accepted, and what it has come to.
    pub const COUNTED: [&'static str; 5] = ["accepted", "delivered", "rejected", "expired", "cancelled"];
    /// The columns that count the parts of those beyond their first, so that what has one part is counted once.
    pub const MORE: [&'static str; 5] =
        ["accepted_more", "delivered_more", "rejected_more", "expired_more", "cancelled_more"];
}
