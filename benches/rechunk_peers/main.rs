//! The floor of a rechunk: its bytes read, decoded, encoded and written on all cores, and nothing
//! else. `run.py` beside it measures tools against it.
//!
//! usage: `rechunk_peers MANIFEST OUT`
//!
//! MANIFEST has a line of five fields, tabs between them, for each piece of a file: `source` or
//! `target`, a codec (`blosc`, `zlib`, `none`), offset, length, path. Sources are read and decoded;
//! of targets, which are those of a finished store, the elements are taken and encoded again, and
//! the pieces of one path become one object in OUT. A line `spill BYTES` is so many bytes written
//! to OUT and read again. Prints one line of JSON: seconds of wall time of each part and of all.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flate2::read::ZlibDecoder;
use zarrs::array::codec::{
    BloscCompressionLevel, BloscCompressor, BloscShuffleMode, blosc_compress_bytes,
    blosc_decompress_bytes, blosc_validate,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Elements of all workloads are float32.
const ITEM_BYTES: usize = 4;
/// Pieces of one file that a thread takes at once.
const RUN_BYTES: u64 = 4 << 20;
/// Decoded bytes of targets that are held to be encoded.
const BATCH_BYTES: usize = 256 << 20;
/// Bytes that are spilled by one request.
const SPILL_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    /// Blosc: Zstandard at level 1, shuffled bytes.
    Blosc,
    /// Shuffled bytes, then zlib, as NetCDF-4 files have.
    Zlib,
    None,
}

impl Codec {
    fn decode(self, encoded: &[u8]) -> Vec<u8> {
        match self {
            Self::Blosc => {
                let length = blosc_validate(encoded).expect("a Blosc frame");
                blosc_decompress_bytes(encoded, length, 1).expect("a Blosc frame")
            }
            Self::Zlib => {
                let mut plain = Vec::new();
                ZlibDecoder::new(encoded).read_to_end(&mut plain).expect("a zlib stream");
                unshuffled(&plain)
            }
            Self::None => encoded.to_vec(),
        }
    }

    fn encode(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Blosc => {
                let level = BloscCompressionLevel::try_from(1).expect("a level");
                let (shuffle, cname) = (BloscShuffleMode::Shuffle, BloscCompressor::Zstd);
                blosc_compress_bytes(plain, level, shuffle, ITEM_BYTES, cname, 0, 1)
                    .expect("room for a frame")
            }
            Self::Zlib => unreachable!("no target has zlib"),
            Self::None => plain.to_vec(),
        }
    }
}

fn unshuffled(shuffled: &[u8]) -> Vec<u8> {
    let count = shuffled.len() / ITEM_BYTES;
    let lanes: Vec<&[u8]> = shuffled.chunks_exact(count.max(1)).collect();
    let mut plain = vec![0; shuffled.len()];
    for (place, item) in plain.chunks_exact_mut(ITEM_BYTES).enumerate() {
        for (byte, lane) in item.iter_mut().zip(&lanes) {
            *byte = lane[place];
        }
    }
    plain
}

struct Piece {
    codec: Codec,
    offset: u64,
    length: u64,
}

impl Piece {
    fn read(&self, file: &File) -> Vec<u8> {
        let mut encoded = vec![0; self.length as usize];
        file.read_exact_at(&mut encoded, self.offset).expect("a file that does not change");
        encoded
    }
}

/// Pieces of one file that follow each other in the manifest.
struct Run {
    path: String,
    pieces: Vec<Piece>,
}

impl Run {
    fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    fn open(&self) -> File {
        File::open(&self.path).expect("a file of the manifest")
    }
}

#[derive(Default)]
struct Manifest {
    sources: Vec<Run>,
    targets: Vec<Run>,
    spilled_bytes: u64,
}

impl Manifest {
    fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let number = |text: &str| text.parse::<u64>().expect("a number");
        for line in text.lines() {
            let fields: Vec<&str> = line.splitn(5, '\t').collect();
            let (kind, codec, offset, length, path) = match fields.as_slice() {
                ["spill", bytes] => {
                    manifest.spilled_bytes = number(bytes);
                    continue;
                }
                [kind, codec, offset, length, path] => (*kind, *codec, offset, length, *path),
                other => unreachable!("not a line of a manifest: {other:?}"),
            };
            let codec = match codec {
                "blosc" => Codec::Blosc,
                "zlib" => Codec::Zlib,
                "none" => Codec::None,
                other => unreachable!("no such codec: {other}"),
            };
            let piece = Piece { codec, offset: number(offset), length: number(length) };
            let is_source = kind == "source";
            let runs = if is_source { &mut manifest.sources } else { &mut manifest.targets };
            match runs.last_mut() {
                Some(run) if run.path == path && (!is_source || run.bytes() < RUN_BYTES) => {
                    run.pieces.push(piece);
                }
                _ => runs.push(Run { path: path.to_owned(), pieces: vec![piece] }),
            }
        }
        manifest
    }
}

/// Does `work` for all places up to `count`, on all cores; the seconds that this took.
fn on_all_cores(count: usize, work: impl Fn(usize) + Sync) -> f64 {
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    work(place);
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

fn read_and_decode(sources: &[Run]) -> f64 {
    on_all_cores(sources.len(), |place| {
        let file = sources[place].open();
        for piece in &sources[place].pieces {
            std::hint::black_box(piece.codec.decode(&piece.read(&file)));
        }
    })
}

/// What is encoded is decoded before, a part at a time, and that takes no time.
fn encode_and_write(targets: &[Run], folder: &Path) -> f64 {
    let (mut seconds, mut first) = (0.0, 0);
    while first < targets.len() {
        let (mut batch, mut held_bytes) = (Vec::new(), 0);
        while first + batch.len() < targets.len() && held_bytes < BATCH_BYTES {
            let run = &targets[first + batch.len()];
            let file = run.open();
            let plain = run.pieces.iter().map(|piece| piece.codec.decode(&piece.read(&file)));
            let plain: Vec<Vec<u8>> = plain.collect();
            held_bytes += plain.iter().map(Vec::len).sum::<usize>();
            batch.push(plain);
        }
        seconds += on_all_cores(batch.len(), |place| {
            let name = folder.join(format!("{}", first + place));
            let mut object = Vec::new();
            for (piece, plain) in targets[first + place].pieces.iter().zip(&batch[place]) {
                object.extend_from_slice(&piece.codec.encode(plain));
            }
            File::create(name)
                .and_then(|mut file| file.write_all(&object))
                .expect("a disk with room");
        });
        first += batch.len();
    }
    seconds
}

fn spill(bytes: u64, folder: &Path) -> f64 {
    let count = bytes.div_ceil(SPILL_BYTES as u64) as usize;
    if count == 0 {
        return 0.0;
    }
    let block = vec![1_u8; SPILL_BYTES];
    let path = folder.join("spill");
    let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
    let file = file.expect("a folder to write in");
    let at = |place: usize| (place * SPILL_BYTES) as u64;
    let written = on_all_cores(count, |place| {
        file.write_all_at(&block, at(place)).expect("a disk with room");
    });
    let read = on_all_cores(count, |place| {
        let mut block = vec![0; SPILL_BYTES];
        file.read_exact_at(&mut block, at(place)).expect("what was written");
        std::hint::black_box(block);
    });
    std::fs::remove_file(path).expect("ours");
    written + read
}

/// CPU time of this process, user and system, in hundredths as the kernel gives it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("a count")).sum::<f64>() / 100.0
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "each measurement is a process of its own: it is told what to run and says what it found"
)]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    // Criterion is asked for nothing by `cargo bench` without arguments, nor is this.
    let [manifest, folder] = arguments.as_slice() else { return };
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let manifest = Manifest::parse(&text);
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder).expect("a place to write");
    let read_s = read_and_decode(&manifest.sources);
    let read_cpu_s = cpu_seconds();
    let write_s = encode_and_write(&manifest.targets, folder);
    let spill_s = spill(manifest.spilled_bytes, folder);
    println!(
        "{{\"wall_s\": {:.3}, \"read_decode_s\": {read_s:.3}, \"read_decode_cpu_s\": {read_cpu_s:.2}, \
         \"encode_write_s\": {write_s:.3}, \"spill_s\": {spill_s:.3}}}",
        read_s + write_s + spill_s
    );
}
