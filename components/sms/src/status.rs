//! How an exchange has ended: SMPP's `command_status` (section 5.1.3), of which these are what services tell each other.

/// It was done.
pub const OK: u32 = 0x00;
/// Whoever was asked does not know the question.
pub const UNKNOWN_COMMAND: u32 = 0x03;
/// Not now: the same may be asked again later.
pub const TEMPORARY: u32 = 0x08;
/// From whom it is, is no address or not one that the account may use.
pub const SOURCE: u32 = 0x0a;
/// To whom it is, is no address, or nothing leads there.
pub const DESTINATION: u32 = 0x0b;
/// There is no such message.
pub const NO_MESSAGE: u32 = 0x0c;
/// It cannot be cancelled: it has its final state, or is with a network that takes nothing back.
pub const NOT_CANCELLED: u32 = 0x11;
/// It cannot be replaced: as for [`NOT_CANCELLED`].
pub const NOT_REPLACED: u32 = 0x13;
/// As much waits as may: the same may be asked again later.
pub const FULL: u32 = 0x14;
/// It was refused for good.
pub const REFUSED: u32 = 0x45;
/// Too many in too short a time: the same may be asked again later.
pub const THROTTLED: u32 = 0x58;
/// The time until when it is worth something is none, or over.
pub const VALIDITY: u32 = 0x62;
/// Whoever it is for cannot take it now, and will later.
pub const LATER: u32 = 0x64;
/// Whoever it is for does not want it, now or later.
pub const UNWANTED: u32 = 0x65;

/// Whether the same may be asked again later.
pub fn is_temporary(status: u32) -> bool {
    matches!(status, TEMPORARY | FULL | THROTTLED | LATER)
}
