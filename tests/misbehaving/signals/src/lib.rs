//! Ends the process as the processor or the kernel ends one: each line names a signal, and the session does what brings it.

use std::hint::black_box;

use tandem_component::prelude::*;

/// The protocol: a line, and the same line back, or a signal.
pub struct Signals;

/// One conversation.
#[derive(Serialize, Deserialize)]
pub struct Conversation;

impl Component for Signals {
    type Config = ();
    type Session = Conversation;
    const POLICY: Policy = Policy::Carry;

    fn start(_: (), _: &Starting<'_>) -> Result<Self, Refusal> {
        Ok(Signals)
    }

    fn open(&self, _: &Opening<'_>) -> Result<Conversation, Refusal> {
        Ok(Conversation)
    }
}

impl Session for Conversation {
    type Component = Signals;
    type Then = ();

    fn handle(&mut self, _: &Signals, event: Event<'_, ()>, out: &mut Out<'_, Self>) -> Result<(), Fault> {
        match event {
            Event::Bytes { stream, bytes } => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
                match &bytes[..end] {
                    b"SIGSEGV" => write_nowhere(),
                    b"SIGBUS" => read_beyond_the_end(),
                    b"SIGILL" => illegal(),
                    b"SIGFPE" => divide(),
                    _ => {}
                }
                out.send(stream, &bytes[..=end]);
                out.consume(end + 1);
            }
            Event::End { stream } => out.close(stream),
            Event::Drain { .. } => out.close(Stream::OWN),
            _ => {}
        }
        Ok(())
    }

    fn at_boundary(&self) -> bool {
        true
    }
}

export_component!(Signals);

fn write_nowhere() {
    // SAFETY: there is nothing at this address: the process ends here, which is what it is for.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
}

/// A page of a file that has no such page.
fn read_beyond_the_end() {
    // SAFETY: the file is this function's own, and the mapping at an address of the kernel's choice nobody else's. Reading it ends the
    // process, which is what it is for.
    unsafe {
        let file = libc::memfd_create(c"empty".as_ptr(), 0);
        let mapped = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file, 0);
        black_box(mapped.cast::<u8>().read_volatile());
    }
}

fn illegal() {
    // SAFETY: the instruction is one that no processor has, by its definition: the process ends here.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("ud2");
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("udf #0");
    }
}

/// Rust asks before it divides, and not every processor minds.
fn divide() {
    // SAFETY: the division by zero ends the process here.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx", out("eax") _, out("ecx") _, out("edx") _);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the call takes no memory.
    unsafe {
        libc::raise(libc::SIGFPE);
    }
}
