//! What a component writes into a buffer of the host: a [`Reply`].

use std::marker::PhantomData;

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

/// A buffer of the host that the other side writes into.
#[repr(C)]
#[derive(StableAbi)]
pub struct Reply<'a> {
    buffer: *mut (),
    write: unsafe extern "C" fn(buffer: *mut (), bytes: RSlice<'_, u8>),
    borrow: PhantomData<&'a mut ()>,
}

impl<'a> Reply<'a> {
    /// Borrows a buffer for one crossing.
    pub fn new(buffer: &'a mut Vec<u8>) -> Self {
        Reply { buffer: std::ptr::from_mut(buffer).cast(), write: append, borrow: PhantomData }
    }

    /// Appends to the host's buffer.
    pub fn write(&mut self, bytes: &[u8]) {
        // SAFETY: `buffer` is the `&mut Vec<u8>` of `new`, borrowed for as long as this lives; `write` came with it.
        unsafe { (self.write)(self.buffer, RSlice::from_slice(bytes)) }
    }
}

impl std::io::Write for Reply<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Reply::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

unsafe extern "C" fn append(buffer: *mut (), bytes: RSlice<'_, u8>) {
    // SAFETY: the caller is `Reply::write`, which passes the `&mut Vec<u8>` that it borrows. The vector grows here, in the
    // code of the side that owns it.
    let buffer = unsafe { &mut *buffer.cast::<Vec<u8>>() };
    buffer.extend_from_slice(bytes.as_slice());
}
