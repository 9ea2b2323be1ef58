//! Buffers that go from one event to the next.

use bytes::BytesMut;
use tandem_component::effects::Batch;

use super::Worker;

/// So much is read at once.
const READ: usize = 64 * 1024;
/// How many empty buffers are kept for the next sends.
const SPARES: usize = 64;
/// A buffer that has grown larger is not kept.
const SPARE_BYTES: usize = 64 * 1024;
/// So many batches are kept: those of events whose commit is waited for are many at a time.
const BATCHES: usize = 32;
/// More room for effects is given back.
const EFFECTS: usize = 4096;
/// A buffer for states that has grown larger is not kept.
const STATE_BYTES: usize = 1024 * 1024;

/// Buffers that are used from one event to the next.
#[derive(Default)]
pub(super) struct Scratch {
    read: Vec<u8>,
    batch: Option<Box<Batch>>,
    /// Those of events whose commit was waited for.
    #[expect(clippy::vec_box, reason = "it goes from hand to hand, and a box is one word")]
    batches: Vec<Box<Batch>>,
    /// The state of a session before an event.
    state: Vec<u8>,
    spares: Vec<BytesMut>,
}

impl Worker {
    /// The batch, and the buffer that is read into, for one turn.
    #[inline]
    pub fn scratch(&self) -> (Box<Batch>, Vec<u8>) {
        let mut scratch = self.scratch.borrow_mut();
        let (batch, buffer) = (scratch.batch.take(), std::mem::take(&mut scratch.read));
        drop(scratch);
        let batch = batch.unwrap_or_else(|| self.batch());
        (batch, if buffer.is_empty() { vec![0; READ] } else { buffer })
    }

    /// Takes both back.
    #[inline]
    pub fn keep_scratch(&self, batch: Option<Box<Batch>>, buffer: Vec<u8>) {
        let mut scratch = self.scratch.borrow_mut();
        if batch.is_some() {
            scratch.batch = batch;
        }
        scratch.read = buffer;
    }

    /// Another batch, where the turn's own one is held.
    pub fn batch(&self) -> Box<Batch> {
        let kept = self.scratch.borrow_mut().batches.pop();
        kept.unwrap_or_else(|| Box::new(Batch::new(super::random())))
    }

    /// Takes it back.
    pub fn keep_batch(&self, mut batch: Box<Batch>) {
        let mut scratch = self.scratch.borrow_mut();
        if scratch.batches.len() < BATCHES {
            // Now, so that no large one waits for the next event.
            batch.clear();
            batch.effects.shrink_to(EFFECTS);
            scratch.batches.push(batch);
        }
    }

    /// An empty buffer for the state of a session before an event.
    pub fn state_buffer(&self) -> Vec<u8> {
        std::mem::take(&mut self.scratch.borrow_mut().state)
    }

    /// Takes it back.
    pub fn keep_state_buffer(&self, mut state: Vec<u8>) {
        if state.capacity() <= STATE_BYTES {
            state.clear();
            self.scratch.borrow_mut().state = state;
        }
    }

    /// An empty buffer for what is sent.
    pub fn spare(&self) -> BytesMut {
        self.scratch.borrow_mut().spares.pop().unwrap_or_else(|| BytesMut::with_capacity(2048))
    }

    /// Takes it back, emptied.
    pub fn keep_spare(&self, mut spare: BytesMut) {
        spare.clear();
        let mut scratch = self.scratch.borrow_mut();
        if (1..=SPARE_BYTES).contains(&spare.capacity()) && scratch.spares.len() < SPARES {
            scratch.spares.push(spare);
        }
    }
}
