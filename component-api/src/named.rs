//! MessagePack with named fields, as states, rows and calls are: written and read.

use serde::{Deserialize, Serialize};

/// Reads it; where it does not fit, the place and the reason. The place is looked for only then: to know it all the way costs as
/// much as the reading itself.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, (String, String)> {
    if let Ok(read) = T::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes)) {
        return Ok(read);
    }
    serde_path_to_error::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes))
        .map_err(|error| (error.path().to_string(), error.inner().to_string()))
}

/// Writes it. Most values fit into the buffer that it begins with, which spares them from growing it step by step.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut bytes = Vec::with_capacity(FIRST_BYTES);
    value.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map())?;
    Ok(bytes)
}

const FIRST_BYTES: usize = 512;
