//! Sources that are damaged, cannot be read or change: the error says which object, and nothing is
//! left.

use std::path::Path;
use std::time::{Duration, SystemTime};

use array::{DType, DatasetSource as _, Region};
use levain::job::Bake;
use zarr::{VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use super::{check_tree, tree};
use crate::command::{command, levain, ran};
use crate::made::{Baked, Folder};
use crate::zarr::samples::{at, dataset, elements, fill, open, variable};

/// Makes `a.zarr`: `v(y, x)` of 8 by 6 elements, in chunks of 2 by 3; its path.
fn array(folder: &Folder, format: ZarrFormat, shard: Option<[u64; 2]>) -> String {
    let path = folder.text("a.zarr");
    let mut array = variable("v", DType::Float32, &[("y", 8), ("x", 6)]);
    array.fill = Some(levain::array::Scalar::of(7.5_f32));
    if format == ZarrFormat::V2 {
        array.attributes.set("_FillValue", levain::array::Scalar::of(7.5_f32));
    }
    let own = VariableLayout {
        chunk_shape: vec![2, 3],
        shard_shape: shard.map(Vec::from),
        codecs: "zstd:1:checksum=true".parse().expect("codecs"),
    };
    let layout = ZarrLayout::new(format).with_variable("v", own);
    let sink = ZarrSink::create(&at(&path), &dataset(vec![array]), &layout, &Default::default());
    let sink = sink.expect("a layout that fits");
    fill(&*sink.array("v").expect("there"), &elements(DType::Float32, &[8, 6]));
    sink.finish().expect("a store");
    path
}

#[test]
fn a_chunk_that_is_missing_reads_as_fill() {
    for (format, key) in [(ZarrFormat::V2, "v/1.1"), (ZarrFormat::V3, "v/c/1/1")] {
        let folder = Folder::new();
        let source = array(&folder, format, None);
        std::fs::remove_file(folder.path("a.zarr").join(key)).expect("a chunk");
        let target = folder.text("b.zarr");
        levain(&["rechunk", &source, &target, "--chunks", "y=8,x=2"]).check_done();
        let part = |store: &str, region: [std::ops::Range<u64>; 2]| {
            let array = open(store).array("v").expect("an array");
            array.read(&Region::new(region)).expect("reads").values::<f32>().expect("floats")
        };
        assert_eq!(part(&target, [2..4, 3..6]), [7.5; 6]);
        for rest in [[0..8, 0..3], [0..2, 3..6], [4..8, 3..6]] {
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(part(&target, rest.clone())), bits(part(&source, rest)));
        }
    }
}

/// Damages the last byte of a range of an object.
fn damage(object: &Path, end: Option<usize>) {
    let mut body = std::fs::read(object).expect("an object");
    let last = end.unwrap_or(body.len()) - 1;
    body[last] ^= 0xff;
    std::fs::write(object, body).expect("a file");
}

#[track_caller]
fn check_damaged(folder: &Folder, words: &[&str]) {
    let (source, target) = (folder.text("a.zarr"), folder.text("b.zarr"));
    let ran = levain(&["rechunk", &source, &target, "--chunks", "y=8,x=2"]);
    ran.check_refused("E202", 1, words);
    assert!(!folder.path("b.zarr").exists(), "something is left");
}

#[test]
fn a_damaged_chunk_is_named_with_its_object_and_range() {
    let folder = Folder::new();
    array(&folder, ZarrFormat::V2, None);
    let object = folder.path("a.zarr/v/2.1");
    let length = std::fs::metadata(&object).expect("a chunk").len();
    damage(&object, None);
    check_damaged(&folder, &["[2, 1]", "a.zarr/v/2.1", &format!("bytes    0..{length}")]);
    // Of a shard: the first chunk, and the index.
    let folder = Folder::new();
    array(&folder, ZarrFormat::V3, Some([4, 6]));
    let object = folder.path("a.zarr/v/c/1/0");
    damage(&object, Some(20));
    check_damaged(&folder, &["[2, 0]", "a.zarr/v/c/1/0", "bytes    0.."]);
    let folder = Folder::new();
    array(&folder, ZarrFormat::V3, Some([4, 6]));
    damage(&folder.path("a.zarr/v/c/1/0"), None);
    check_damaged(&folder, &["shard", "a.zarr/v/c/1/0"]);
}

#[test]
fn what_cannot_be_read_is_not_left_out_in_silence() {
    let folder = Folder::new();
    let source = tree(&folder, "2");
    let header = folder.path("a.zarr/a/b/v/.zarray");
    let text = std::fs::read_to_string(&header).expect("a header");
    let other = |text: &str| text.replace("\"zstd\"", "\"zfpy\"");
    std::fs::write(&header, other(&text)).expect("a file");
    let copy = folder.path("a.zarr/.zmetadata");
    std::fs::remove_file(&copy).expect("the consolidated copy");
    std::fs::remove_file(folder.path("a.zarr/a/.zmetadata")).expect("the consolidated copy");
    let target = folder.text("b.zarr");
    let refused = levain(&["rechunk", &source, &target]);
    refused.check_refused("E204", 1, &["zfpy", "a/b/v", "--vars"]);
    assert!(!folder.path("b.zarr").exists());
    levain(&["rechunk", &source, &target, "--vars", "a/v,c/d/e/v"]).check_done();
    assert_eq!(Baked::open(&target).dataset().groups, ["a", "c"]);
}

/// Rows and columns of a variable of 32 MiB.
const LENGTH: u64 = 2048;

/// Begins `a.zarr`: `v(y, x)` of that size, in chunks of 64 rows; its path.
fn large(folder: &Folder) -> (String, ZarrSink) {
    let path = folder.text("a.zarr");
    let array = variable("v", DType::Float64, &[("y", LENGTH), ("x", LENGTH)]);
    let own = VariableLayout {
        chunk_shape: vec![64, LENGTH],
        shard_shape: None,
        codecs: "zstd:1".parse().expect("codecs"),
    };
    let layout = ZarrLayout::new(ZarrFormat::V3).with_variable("v", own);
    let sink = ZarrSink::create(&at(&path), &dataset(vec![array]), &layout, &Default::default());
    (path, sink.expect("a layout that fits"))
}

#[test]
fn a_chunk_that_does_not_fit_the_memory_is_refused_with_the_least_that_would_do() {
    let folder = Folder::new();
    let (path, sink) = large(&folder);
    // Nothing was written: all of it is fill.
    sink.finish().expect("a store");
    let rechunk = |mem: &str| {
        levain(&["rechunk", &path, &folder.text("b.zarr"), "--chunks", "y=-1,x=-1", "--mem", mem])
    };
    let refused = rechunk("130MiB");
    refused.check_refused("E105", 4, &["32.0 MiB", "allow at least"]);
    assert!(!folder.path("b.zarr").exists());
    let (_, least) = refused.stderr.split_once("allow at least ").expect("an advice");
    let least = least.split(',').next().expect("a size").replace(' ', "");
    rechunk(&least).check_done();
}

#[test]
fn a_shard_that_memory_does_not_hold_is_written_as_a_stream() {
    let folder = Folder::new();
    let (path, sink) = large(&folder);
    let numbers: Vec<f64> = (0..LENGTH * LENGTH).map(|n| n as f64 / 4.0).collect();
    let whole = levain::array::Chunk::of([LENGTH, LENGTH], &numbers).expect("numbers");
    fill(&*sink.array("v").expect("there"), &whole);
    sink.finish().expect("a store");
    // Decoded and encoded anew along either dimension, and as the chunks are.
    for (chunks, codec) in
        [("y=128,x=256", "zstd:2"), ("y=-1,x=128", "zstd:2"), ("y=64,x=2048", "zstd:1")]
    {
        let rechunk = |target: &str, mem: &str| {
            let layout = ["--chunks", chunks, "--shards", "y=-1,x=-1", "--codec", codec];
            let ends = ["rechunk", &path, target, "--mem", mem];
            levain(&[&ends[..], &layout].concat()).check_done();
        };
        let (little, much) = (folder.text("little.zarr"), folder.text("much.zarr"));
        rechunk(&little, "200MiB");
        rechunk(&much, "4GiB");
        let shard = |store: &str| std::fs::read(folder.path(store).join("v/c/0/0"));
        let of_little = shard("little.zarr").expect("one shard");
        assert!(of_little == shard("much.zarr").expect("one shard"), "{chunks}: other bytes");
        assert_eq!(Baked::open(&little).chunk("v"), whole, "{chunks}");
        for store in [little, much] {
            std::fs::remove_dir_all(store).expect("a folder");
        }
    }
}

#[test]
fn a_source_that_changes_is_refused_by_name() {
    for (format, key) in [(ZarrFormat::V2, "v/3.0"), (ZarrFormat::V3, "v/c/3/0")] {
        let folder = Folder::new();
        let source = array(&folder, format, None);
        let bake = Bake::new([source], &folder.text("b.zarr")).expect("paths").with_groups(true);
        let scanned = bake.scan(&levain::dataflow::runner::NoObserver).expect("a plan");
        let chunk = folder.path("a.zarr").join(key);
        let body = std::fs::read(&chunk).expect("a chunk");
        std::fs::write(&chunk, &body).expect("a file");
        let file = std::fs::File::options().write(true).open(&chunk).expect("a file");
        file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("a time");
        let error = scanned.write(&levain::dataflow::runner::NoObserver).map(drop);
        let error = error.expect_err("another chunk than was scanned").to_string();
        assert!(error.contains("has changed while it was read"), "{error}");
        assert!(error.contains(&format!("a.zarr/{key}")), "{error}");
        assert!(!folder.path("b.zarr").exists(), "something is left");
        // Whoever begins after the change sees it.
        file.set_modified(SystemTime::now() - Duration::from_secs(5)).expect("a time");
        bake.run().expect("a store");
    }
}

#[test]
fn a_scratch_disk_that_fills_ends_the_run_and_leaves_nothing() {
    let folder = Folder::new();
    let path = folder.text("a.zarr");
    // Four times what the command may hold: what the process itself takes differs by some MiB.
    let shape = [1024_u64, 64, 512];
    let dimensions = [("t", shape[0]), ("y", shape[1]), ("x", shape[2])];
    let array = variable("v", DType::Float32, &dimensions);
    let own = VariableLayout {
        chunk_shape: vec![4, 64, 512],
        shard_shape: None,
        codecs: "none".parse().expect("codecs"),
    };
    let layout = ZarrLayout::new(ZarrFormat::V3).with_variable("v", own);
    let sink = ZarrSink::create(&at(&path), &dataset(vec![array]), &layout, &Default::default());
    let sink = sink.expect("a layout that fits");
    let mut noise = 1_u32;
    let numbers = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(0x3f80_0000 | noise >> 9)
    });
    let numbers: Vec<f32> = numbers.take(shape.iter().product::<u64>() as usize).collect();
    let whole = levain::array::Chunk::of(shape, &numbers).expect("numbers");
    fill(&*sink.array("v").expect("there"), &whole);
    sink.finish().expect("a store");
    let target = folder.text("b.zarr");
    let scratch = folder.path("scratch");
    std::fs::create_dir(&scratch).expect("a folder");
    let arguments = [
        "rechunk",
        &path,
        &target,
        "--chunks",
        "t=-1,y=8,x=8",
        "--mem",
        "160MiB",
        "--threads",
        "1",
    ];
    // No file may get longer than 512 KiB: no chunk does, what is spilled does.
    let shell = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let mut limited = std::process::Command::new("sh");
    limited.arg("-c").arg(shell).arg(command(&[]).get_program()).args(arguments);
    let refused = ran(limited.env("TMPDIR", &scratch).output().expect("a shell"));
    refused.check_refused("E404", 6, &["cannot spill", "scratch"]);
    assert_eq!(std::fs::read_dir(&scratch).expect("a folder").count(), 0, "scratch is left");
    assert!(!folder.path("b.zarr").exists(), "something is left");
    let mut free = command(&arguments);
    ran(free.env("TMPDIR", &scratch).output().expect("starts")).check_done();
    assert_eq!(std::fs::read_dir(&scratch).expect("a folder").count(), 0, "scratch is left");
    assert_eq!(Baked::open(&target).chunk("v"), whole);
}

#[test]
fn a_tree_is_copied_from_a_store_without_consolidated_copies() {
    let folder = Folder::new();
    let source = tree(&folder, "2");
    for group in ["", "a", "a/b", "bare", "c", "c/d", "c/d/e"] {
        std::fs::remove_file(folder.path("a.zarr").join(group).join(".zmetadata")).expect("a copy");
    }
    levain(&["rechunk", &source, &folder.text("b.zarr")]).check_done();
    check_tree(&folder.text("b.zarr"));
}

#[test]
fn a_variable_that_cannot_be_read_is_left_out_only_where_that_is_asked_for() {
    let Some(python) = levain::dataflow::testing::python() else { return };
    let folder = Folder::new();
    let (source, target) = (folder.text("mixed.h5"), folder.text("out.zarr"));
    let script = "import h5py, numpy, sys\n\
                  with h5py.File(sys.argv[1], 'w') as f:\n\
                  \x20   f['a'] = numpy.arange(6.0)\n\
                  \x20   f['pairs'] = numpy.zeros(3, dtype=[('x', 'i4'), ('y', 'f8')])\n\
                  \x20   f['below/b'] = numpy.arange(4)\n";
    let made = std::process::Command::new(python).args(["-c", script, &source]).output();
    let made = made.expect("the interpreter runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let refused = levain(&["rechunk", &source, &target]);
    refused.check_refused("E204", 1, &["pairs", "compound", "--vars", "--keep-going"]);
    assert!(!folder.path("out.zarr").exists(), "something is left");
    let ran = levain(&["rechunk", &source, &target, "--keep-going"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("variable pairs"), "{}", ran.stderr);
    let store = Baked::open(&target);
    assert_eq!(store.names(), ["a"]);
    assert_eq!(Baked::open(&folder.text("out.zarr/below")).values::<i64>("b"), [0, 1, 2, 3]);
}

#[test]
fn a_damaged_chunk_is_filled_where_that_is_asked_for() {
    let folder = Folder::new();
    array(&folder, ZarrFormat::V2, None);
    damage(&folder.path("a.zarr/v/2.1"), None);
    let (source, target) = (folder.text("a.zarr"), folder.text("b.zarr"));
    let ran = levain(&["rechunk", &source, &target, "--chunks", "y=8,x=2", "--keep-going"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    let part = |store: &str, region: [std::ops::Range<u64>; 2]| {
        let array = open(store).array("v").expect("an array");
        array.read(&Region::new(region)).expect("reads").values::<f32>().expect("floats")
    };
    assert_eq!(part(&target, [4..6, 3..6]), [7.5; 6]);
    assert_eq!(part(&target, [6..8, 0..6]), part(&source, [6..8, 0..6]));
}
