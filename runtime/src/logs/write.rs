//! The writing side: lines out of bytes, files that rotate, and no error that could harm a container.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use spec::Timestamp;

use super::{FILE_BYTES, LINE_BYTES, Line, Source, files};

/// Writes the lines of several streams to one set of files.
pub(crate) struct Writer {
    dir: PathBuf,
    file: Option<File>,
    size: u64,
    limit: u64,
    /// The file does not end in a newline: a write was cut short.
    torn: bool,
    buffer: Vec<u8>,
}

/// Bytes of one stream that are not a whole line yet.
pub(crate) struct Partial {
    source: Source,
    bytes: Vec<u8>,
}

impl Partial {
    pub(crate) fn new(source: Source) -> Partial {
        Partial { source, bytes: Vec::new() }
    }
}

impl Writer {
    pub(crate) fn new(dir: &Path) -> Writer {
        Writer { dir: dir.to_owned(), file: None, size: 0, limit: FILE_BYTES, torn: false, buffer: Vec::new() }
    }

    /// Writes the lines that `bytes` completes.
    pub(crate) fn push(&mut self, partial: &mut Partial, mut bytes: &[u8], now: Timestamp) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend(partial, &bytes[..end], now);
            self.line(partial, partial.bytes.len(), now);
            bytes = &bytes[end + 1..];
        }
        self.extend(partial, bytes, now);
        self.flush();
    }

    /// Writes what is left of a stream that ended without a newline.
    pub(crate) fn finish(&mut self, partial: &mut Partial, now: Timestamp) {
        if !partial.bytes.is_empty() {
            self.line(partial, partial.bytes.len(), now);
        }
        partial.bytes = Vec::new();
        self.flush();
    }

    fn extend(&mut self, partial: &mut Partial, mut bytes: &[u8], now: Timestamp) {
        while partial.bytes.len() + bytes.len() > LINE_BYTES {
            let (head, tail) = bytes.split_at(LINE_BYTES - partial.bytes.len());
            partial.bytes.extend_from_slice(head);
            self.line(partial, last_boundary(&partial.bytes), now);
            bytes = tail;
        }
        partial.bytes.extend_from_slice(bytes);
    }

    fn line(&mut self, partial: &mut Partial, length: usize, now: Timestamp) {
        let text = String::from_utf8_lossy(&partial.bytes[..length]).into_owned();
        let line = Line { time: now, source: partial.source.clone(), text };
        if serde_json::to_writer(&mut self.buffer, &line).is_ok() {
            self.buffer.push(b'\n');
        }
        partial.bytes.drain(..length);
        if self.buffer.len() >= 4 * LINE_BYTES {
            self.flush();
        }
    }

    /// Hands the buffered lines to the kernel. What cannot be written, as on a full disk, is dropped.
    fn flush(&mut self) {
        if !self.buffer.is_empty() && self.write().is_err() {
            self.file = None;
        }
        self.buffer.clear();
    }

    fn write(&mut self) -> io::Result<()> {
        if self.size + self.buffer.len() as u64 > self.limit && self.size > 0 {
            self.file = None;
            rotate(&self.dir)?;
        }
        if self.file.is_none() {
            let (file, size, torn) = open(&self.dir)?;
            (self.file, self.size, self.torn) = (Some(file), size, torn);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.torn {
            file.write_all(b"\n")?;
        }
        self.torn = true;
        file.write_all(&self.buffer)?;
        self.torn = false;
        self.size += self.buffer.len() as u64;
        Ok(())
    }
}

fn open(dir: &Path) -> io::Result<(File, u64, bool)> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = dir.join("current.log");
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    let mut last = *b"\n";
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((file, size, last != *b"\n"))
}

/// Makes room for a new `current.log`: each file takes the place of the next older one, and the oldest goes.
fn rotate(dir: &Path) -> io::Result<()> {
    let paths: Vec<PathBuf> = files(dir).collect();
    for pair in paths.windows(2).rev() {
        match std::fs::rename(&pair[0], &pair[1]) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the length of `bytes` without a UTF-8 character that is cut off at its end.
fn last_boundary(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    let lead = (start..bytes.len()).rev().find(|&index| bytes[index] & 0b1100_0000 != 0b1000_0000);
    let Some(lead) = lead.filter(|&lead| lead > 0) else { return bytes.len() };
    let width = match bytes[lead] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if lead + width > bytes.len() { lead } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{FILES_KEPT, Logs};

    fn write(dir: &Path, limit: u64, chunks: &[&[u8]]) {
        let mut writer = Writer { limit, ..Writer::new(dir) };
        let mut partial = Partial::new(Source::Out);
        for chunk in chunks {
            writer.push(&mut partial, chunk, Timestamp(7));
        }
        writer.finish(&mut partial, Timestamp(8));
    }

    fn texts(dir: &Path) -> Vec<String> {
        Logs::new(dir).tail_now(1000).unwrap().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), FILE_BYTES, &[b"one\ntw", b"o\n\nlast"]);
        assert_eq!(texts(dir.path()), ["one", "two", "", "last"]);
    }

    #[test]
    fn control_characters_stay_inside_one_record() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), FILE_BYTES, &[b"a\r\x1b[2J\0\"b\xff\n"]);
        let raw = std::fs::read_to_string(dir.path().join("current.log")).unwrap();
        insta::assert_snapshot!(raw, @r#"{"t":7,"s":"out","l":"a\r\u001b[2J\u0000\"b�"}"#);
        assert_eq!(texts(dir.path()), ["a\r\x1b[2J\0\"b\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("x{}", "é".repeat(LINE_BYTES));
        write(dir.path(), FILE_BYTES, &[long.as_bytes(), b"\n"]);
        let texts = texts(dir.path());
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES - 1, LINE_BYTES, 2]);
        assert_eq!(texts.concat(), long);
    }

    #[test]
    fn a_flood_keeps_the_newest_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        write(dir.path(), 1000, &lines.iter().map(String::as_bytes).collect::<Vec<_>>());
        let sizes: Vec<u64> =
            std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 1 + FILES_KEPT as usize);
        assert!(sizes.iter().all(|size| *size <= 1000));
        let texts = texts(dir.path());
        let first = 1000 - texts.len();
        assert!(texts.len() > 50, "{}", texts.len());
        assert!(texts.iter().enumerate().all(|(index, text)| *text == format!("line {}", first + index)));
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("current.log"), r#"{"t":1,"s":"out","l":"cut o"#).unwrap();
        write(dir.path(), FILE_BYTES, &[b"next\n"]);
        assert_eq!(texts(dir.path()), ["next"]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_loses_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let mut writer = Writer::new(&blocked.join("logs"));
        let mut partial = Partial::new(Source::Err);
        writer.push(&mut partial, b"lost\nkept", Timestamp(1));
        std::fs::remove_file(&blocked).unwrap();
        writer.push(&mut partial, b"!\n", Timestamp(2));
        assert_eq!(texts(&blocked.join("logs")), ["kept!"]);
    }
}
