//! Decompression, chosen by the stream's first bytes: media types are often wrong, and the content's hash decides anyway.

use std::io::{self, BufReader, Read};

use super::limit::{Declared, Decoded};

/// What is read from the stream at once.
const BUFFER_BYTES: usize = 128 << 10;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Opens a stream that is gzip (of any number of members), zstd or not compressed.
pub(super) fn open<'a, R: Read>(stream: &'a mut Declared<R>) -> io::Result<Decoded<'a>> {
    let compressed = stream.count();
    let mut start = Vec::with_capacity(ZSTD.len());
    stream.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    let (is_gzip, is_zstd) = (start.starts_with(GZIP), start.starts_with(ZSTD));
    let whole = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(start).chain(stream));
    let reader: Box<dyn Read + 'a> = if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(whole))
    } else if is_zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
    } else {
        Box::new(whole)
    };
    Ok(Decoded { reader, compressed })
}
