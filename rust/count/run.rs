//! Counted pieces on disk: sorted runs, and the result as three flat files.
//!
//! A run is its entries one after the other, each the length of the piece, its bytes and its count,
//! numbers as varints of seven bits a byte. A run belongs to the process, or to the record with its
//! checksum, that wrote it; what is damaged all the same is an error and no panic.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::merge::{Ascending, Sink, merge};
use crate::error::{Error, Poll, Result};

/// Files that are open at a time.
const MOST_OPEN: usize = 128;
const READ_BYTES: usize = 1 << 17;
const WRITE_BYTES: usize = 1 << 20;

/// A run while it is written.
pub(super) struct RunWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RunWriter {
    pub(super) fn create(path: &Path) -> Result<RunWriter> {
        let file = File::create(path).map_err(|error| cannot("write", path, &error))?;
        Ok(RunWriter { path: path.into(), file: BufWriter::with_capacity(WRITE_BYTES, file) })
    }

    /// Hands everything to the operating system.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        self.file.flush().map_err(|error| cannot("write", &self.path, &error))?;
        Ok(self.path)
    }
}

impl Sink for RunWriter {
    fn put(&mut self, piece: &[u8], count: u64) -> Result<()> {
        let mut write = || {
            write_number(&mut self.file, piece.len() as u64)?;
            self.file.write_all(piece)?;
            write_number(&mut self.file, count)
        };
        write().map_err(|error| cannot("write", &self.path, &error))
    }
}

fn write_number(file: &mut impl Write, mut number: u64) -> io::Result<()> {
    let mut bytes = [0; 10];
    let mut len = 0;
    loop {
        bytes[len] = (number & 0x7F) as u8 | if number > 0x7F { 0x80 } else { 0 };
        len += 1;
        number >>= 7;
        if number == 0 {
            return file.write_all(&bytes[..len]);
        }
    }
}

/// The entries of a run.
pub(super) struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
}

impl RunReader {
    pub(super) fn open(path: &Path) -> Result<RunReader> {
        let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
        Ok(RunReader { path: path.into(), file: BufReader::with_capacity(READ_BYTES, file) })
    }

    fn read(&mut self, piece: &mut Vec<u8>) -> io::Result<Option<u64>> {
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let len = read_number(&mut self.file)?;
        piece.clear();
        let read = self.file.by_ref().take(len).read_to_end(piece)?;
        if read as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_number(&mut self.file).map(Some)
    }
}

impl Ascending for RunReader {
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<Option<u64>> {
        self.read(piece).map_err(|error| cannot("read", &self.path, &error))
    }
}

fn read_number(file: &mut impl Read) -> io::Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        number |= u64::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            return Ok(number);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number of more than 64 bits"))
}

/// Merges runs, which stay, and other sources; of more runs than may be open, some are merged to
/// one first, beside the first of them.
pub(super) fn merge_all(
    runs: &[PathBuf],
    mut sources: Vec<Box<dyn Ascending + '_>>,
    sink: &mut dyn Sink,
    poll: Poll<'_>,
) -> Result<()> {
    let mut left = runs.to_vec();
    let mut made = Vec::new();
    while left.len() > MOST_OPEN {
        let first: Vec<PathBuf> = left.drain(..MOST_OPEN).collect();
        let path = first[0].with_extension(format!("merged-{}", made.len()));
        let mut writer = RunWriter::create(&path)?;
        merge(opened(&first)?, &mut writer, poll)?;
        made.push(writer.finish()?);
        left.push(path);
    }
    sources.extend(opened(&left)?);
    merge(sources, sink, poll)?;
    made.iter().try_for_each(|path| remove(path))
}

fn opened<'a>(runs: &[PathBuf]) -> Result<Vec<Box<dyn Ascending + 'a>>> {
    runs.iter().map(|path| Ok(Box::new(RunReader::open(path)?) as Box<dyn Ascending>)).collect()
}

pub(super) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| cannot("remove", path, &error))
}

/// The three arrays of the result, as files in a folder, numbers as the machine has them.
pub(super) struct FlatWriter {
    folder: PathBuf,
    files: [BufWriter<File>; 3],
    end: i64,
}

/// The names of the files: bytes of the pieces, offsets and counts.
pub const FLAT_FILES: [&str; 3] = ["arena", "offsets", "counts"];

impl FlatWriter {
    pub(super) fn create(folder: &Path) -> Result<FlatWriter> {
        let create = |name| {
            let path = folder.join(name);
            let file = File::create(&path).map_err(|error| cannot("write", &path, &error))?;
            Ok(BufWriter::with_capacity(WRITE_BYTES, file))
        };
        let [arena, offsets, counts] = FLAT_FILES;
        let mut files = [create(arena)?, create(offsets)?, create(counts)?];
        files[1].write_all(&[0; 8]).map_err(|error| cannot("write", folder, &error))?;
        Ok(FlatWriter { folder: folder.into(), files, end: 0 })
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let mut flush = || self.files.iter_mut().try_for_each(Write::flush);
        flush().map_err(|error| cannot("write", &self.folder, &error))
    }
}

impl Sink for FlatWriter {
    fn put(&mut self, piece: &[u8], count: u64) -> Result<()> {
        self.end += piece.len() as i64;
        let [arena, offsets, counts] = &mut self.files;
        let mut write = || {
            arena.write_all(piece)?;
            offsets.write_all(&self.end.to_ne_bytes())?;
            counts.write_all(&count.to_ne_bytes())
        };
        write().map_err(|error| cannot("write", &self.folder, &error))
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Data(format!("cannot {what} {}: {error}", path.display()))
}
