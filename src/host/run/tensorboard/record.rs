//! The framing of records in TensorBoard's files, that of TFRecord:
//! <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h>.

/// A record: its length as eight bytes, the length's checksum as four, the data, and their checksum. Numbers are
/// little-endian.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), data, &masked(data).to_le_bytes()].concat()
}

/// A CRC-32C that does not look like one, since data may hold checksums themselves.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record that tensorboard 2.21's `RecordWriter` makes of these bytes.
    #[test]
    fn a_record_is_that_of_tensorboard() {
        assert_eq!(hex(&framed(b"velograd")), RECORD);
        assert_eq!(framed(b"").len(), 16);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const RECORD: &str = "0800000000000000ff86240f76656c6f677261647ddad7ef";
}
