//! The reading side: the last lines, and lines as they come.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Line, files};

/// Most lines one [`Logs::tail`] gives: a bound on memory, far more than a person reads.
pub(super) const TAIL_LINES: usize = 10_000;

/// Most bytes read for one [`Logs::tail`]: the files of one replica at their largest.
const TAIL_BYTES: u64 = 32 << 20;

/// Bytes read at a time.
const BLOCK: usize = 64 << 10;

/// How soon a follower sees a new line: too short for a person to notice, and a read of nothing costs little.
const POLL: Duration = Duration::from_millis(100);

/// The log files of one container.
#[derive(Clone, Debug)]
pub struct Logs {
    dir: PathBuf,
}

/// Lines as they come, after the last ones before.
pub struct Follow {
    /// `None` while a read is under way.
    state: Option<State>,
    read: Option<JoinHandle<(State, io::Result<VecDeque<Line>>)>>,
    lines: VecDeque<Line>,
}

/// Where a follower is.
struct State {
    dir: PathBuf,
    file: Option<File>,
    offset: u64,
    partial: Vec<u8>,
}

impl Logs {
    /// Reads from `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Logs {
        Logs { dir: dir.to_owned() }
    }

    /// Returns the last `count` lines, oldest first; at most [`TAIL_LINES`].
    pub async fn tail(&self, count: usize) -> io::Result<Vec<Line>> {
        let logs = self.clone();
        blocking(move || logs.tail_now(count)).await
    }

    /// Returns the last `count` lines and then each new one.
    pub async fn follow(&self, count: usize) -> io::Result<Follow> {
        let dir = self.dir.clone();
        blocking(move || {
            let (lines, state) = tail(&dir, count)?;
            Ok(Follow { state: Some(state), read: None, lines })
        })
        .await
    }

    pub(crate) fn tail_now(&self, count: usize) -> io::Result<Vec<Line>> {
        Ok(tail(&self.dir, count)?.0.into())
    }
}

impl Follow {
    /// Waits for the next line, without end: a container that is gone may come back and write on.
    ///
    /// Cancelling loses no line.
    pub async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(line);
            }
            self.lines = self.more().await?;
            if self.lines.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn more(&mut self) -> io::Result<VecDeque<Line>> {
        if let Some(mut state) = self.state.take() {
            self.read = Some(tokio::task::spawn_blocking(move || {
                let lines = state.read();
                (state, lines)
            }));
        }
        let Some(read) = &mut self.read else { return Err(io::Error::other("an earlier read failed")) };
        let (state, lines) = read.await.map_err(io::Error::other)?;
        (self.state, self.read) = (Some(state), None);
        lines
    }
}

impl State {
    /// Reads what was written since, at most one block.
    fn read(&mut self) -> io::Result<VecDeque<Line>> {
        let Some(file) = &self.file else {
            (self.file, self.offset) = (open(&self.dir.join("current.log"))?, 0);
            return Ok(VecDeque::new());
        };
        let mut block = vec![0; BLOCK];
        let length = file.read_at(&mut block, self.offset)?;
        if length == 0 {
            return self.turn();
        }
        self.offset += length as u64;
        self.partial.extend_from_slice(&block[..length]);
        Ok(take_lines(&mut self.partial))
    }

    /// Goes on to the next newer file if the one at hand was put aside, and otherwise stays.
    fn turn(&mut self) -> io::Result<VecDeque<Line>> {
        let Some(file) = &self.file else { return Ok(VecDeque::new()) };
        let inode = file.metadata()?.ino();
        let paths: Vec<PathBuf> = files(&self.dir).collect();
        let mut newer = None;
        for path in &paths {
            match open(path)? {
                Some(other) if other.metadata()?.ino() == inode => break,
                other => newer = other.or(newer),
            }
        }
        // Put aside between the last read and the look at the names: what was written until then comes first.
        if let Some(newer) = newer
            && file.metadata()?.len() <= self.offset
        {
            self.file = Some(newer);
            self.offset = 0;
            self.partial.clear();
            return self.read();
        }
        Ok(VecDeque::new())
    }
}

/// Returns the last `count` lines, and the place after them.
fn tail(dir: &Path, count: usize) -> io::Result<(VecDeque<Line>, State)> {
    let count = count.min(TAIL_LINES);
    let file = open(&dir.join("current.log"))?;
    let offset = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
    let mut lines = VecDeque::new();
    let mut budget = TAIL_BYTES;
    if let Some(file) = &file {
        read_back(file, offset, count, &mut budget, &mut lines)?;
    }
    for path in files(dir).skip(1) {
        let Some(older) = open(&path)? else { break };
        // The file at hand, put aside since: its lines are there already.
        if matches!(&file, Some(file) if file.metadata()?.ino() == older.metadata()?.ino()) {
            continue;
        }
        let length = older.metadata()?.len();
        read_back(&older, length, count, &mut budget, &mut lines)?;
    }
    Ok((lines, State { dir: dir.to_owned(), file, offset, partial: Vec::new() }))
}

/// Puts lines that end before `end` in front of `lines`, until those are `count`.
fn read_back(file: &File, mut end: u64, count: usize, budget: &mut u64, lines: &mut VecDeque<Line>) -> io::Result<()> {
    let mut rest = Vec::new();
    while end > 0 && lines.len() < count && *budget > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let mut block = vec![0; (end - start) as usize];
        file.read_exact_at(&mut block, start)?;
        *budget = budget.saturating_sub(end - start);
        block.append(&mut rest);
        let whole = if start == 0 { 0 } else { block.iter().position(|&byte| byte == b'\n').map_or(block.len(), |at| at + 1) };
        for line in block[whole..].split(|&byte| byte == b'\n').rev().filter_map(parse) {
            if lines.len() < count {
                lines.push_front(line);
            }
        }
        rest = block[..whole].to_vec();
        end = start;
    }
    Ok(())
}

/// Takes the whole lines off the front of `bytes`; what is no record, such as a line cut off by a crash, is left out.
fn take_lines(bytes: &mut Vec<u8>) -> VecDeque<Line> {
    let Some(last) = bytes.iter().rposition(|&byte| byte == b'\n') else { return VecDeque::new() };
    let rest = bytes.split_off(last + 1);
    let whole = std::mem::replace(bytes, rest);
    whole.split(|&byte| byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<Line> {
    serde_json::from_slice(line).ok()
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use spec::Timestamp;

    use super::*;
    use crate::logs::Source;

    fn append(path: &Path, texts: impl IntoIterator<Item = String>) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        for text in texts {
            let line = Line { time: Timestamp(1), source: Source::Init("seed".to_owned()), text };
            writeln!(file, "{}", serde_json::to_string(&line).unwrap()).unwrap();
        }
    }

    fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| number.to_string()).collect()
    }

    async fn next(follow: &mut Follow, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let line = tokio::time::timeout(Duration::from_secs(10), follow.next()).await.unwrap().unwrap();
            texts.push(line.text);
        }
        texts
    }

    #[tokio::test]
    async fn the_tail_reaches_over_files() {
        let dir = tempfile::tempdir().unwrap();
        append(&dir.path().join("2.log"), numbers(0..5000));
        append(&dir.path().join("1.log"), numbers(5000..10_000));
        append(&dir.path().join("current.log"), numbers(10_000..10_003));
        let logs = Logs::new(dir.path());
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(logs.tail(2).await.unwrap()), numbers(10_001..10_003));
        assert_eq!(texts(logs.tail(6003).await.unwrap()), numbers(4000..10_003));
        assert_eq!(logs.tail(usize::MAX).await.unwrap().len(), TAIL_LINES);
        assert_eq!(logs.tail(0).await.unwrap(), []);
    }

    #[tokio::test]
    async fn following_goes_on_over_rotations_and_starts_before_the_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut follow = Logs::new(dir.path()).follow(10).await.unwrap();
        append(&path("current.log"), numbers(0..3));
        assert_eq!(next(&mut follow, 3).await, numbers(0..3));

        append(&path("current.log"), numbers(3..5));
        std::fs::rename(path("current.log"), path("2.log")).unwrap();
        append(&path("1.log"), numbers(5..7));
        append(&path("current.log"), numbers(7..9));
        assert_eq!(next(&mut follow, 6).await, numbers(3..9));
    }

    #[tokio::test]
    async fn a_follower_starts_with_the_tail_and_waits_for_the_end_of_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("current.log");
        append(&path, numbers(0..10));
        let mut follow = Logs::new(dir.path()).follow(2).await.unwrap();
        assert_eq!(next(&mut follow, 2).await, numbers(8..10));
        File::options().append(true).open(&path).unwrap().write_all(br#"{"t":1,"s":"out","#).unwrap();
        assert!(tokio::time::timeout(3 * POLL, follow.next()).await.is_err());
        File::options().append(true).open(&path).unwrap().write_all(b"\"l\":\"whole\"}\n").unwrap();
        assert_eq!(next(&mut follow, 1).await, ["whole"]);
    }
}
