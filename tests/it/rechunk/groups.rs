//! Trees of groups: the hierarchy, attributes and coordinates are kept, and the store is there when
//! all of it is.

use std::process::Command;

use array::DatasetSource as _;
use levain::bake::{BakeOptions, ZarrVersion};
use levain::job::Bake;
use levain::objects::{Fault, Faults, StoreOptions};
use zarr::ZarrSource;

use super::{LENGTHS, check_tree, tree};
use crate::command::levain;
use crate::made::Folder;

#[test]
fn a_tree_is_kept_and_every_array_has_its_own_plan() {
    for (from, to) in [("2", "3"), ("3", "2"), ("3", "3"), ("2", "2")] {
        let folder = Folder::new();
        let (source, target) = (tree(&folder, from), folder.text("b.zarr"));
        let ran = levain(&[
            "rechunk",
            &source,
            &target,
            "--chunks",
            "y=3",
            "--zarr-format",
            to,
            "--output",
            "json",
        ]);
        ran.check_done();
        check_tree(&target);
        assert!(ran.stdout.contains("\"variables\": 6"), "{}", ran.stdout);
        levain(&["verify", &target, "--level", "digests"]).check_done();
    }
}

#[test]
fn a_plan_names_variables_by_their_paths() {
    let folder = Folder::new();
    let source = tree(&folder, "3");
    let ran = levain(&["plan", "rechunk", &source, &folder.text("b.zarr"), "--chunks", "y=3"]);
    ran.check_done();
    for (path, _) in LENGTHS {
        let name = if path.is_empty() { "v".to_owned() } else { format!("{path}/v") };
        let is_there = |line: &str| line.split_whitespace().next() == Some(name.as_str());
        assert!(ran.stdout.lines().any(is_there), "{name}: {}", ran.stdout);
    }
}

#[test]
fn variables_may_be_named_with_and_without_their_group() {
    let folder = Folder::new();
    let source = tree(&folder, "3");
    let check = |vars: &str, want: &[&str]| {
        let target = folder.text("b.zarr");
        let ran = levain(&["rechunk", &source, &target, "--vars", vars, "--overwrite"]);
        ran.check_done();
        let groups = open(&target).tree().expect("a tree");
        let named = groups.iter().filter(|(_, group)| group.dataset().variable("v").is_some());
        let named: Vec<String> = named.map(|(path, _)| path.to_string()).collect();
        assert_eq!(named, want, "{vars}");
    };
    check("v", &["", "a", "a/b", "c/d/e"]);
    check("a/b/v", &["a/b"]);
    check("c/d/e/v,a/v", &["a", "c/d/e"]);
    let refused = levain(&["rechunk", &source, &folder.text("c.zarr"), "--vars", "a/w"]);
    refused.check_refused("E108", 4, &["a/w"]);
    let refused = levain(&["rechunk", &source, &folder.text("c.zarr"), "--chunks", "z=1"]);
    refused.check_refused("E107", 4, &["`z`", "x, y"]);
}

#[test]
fn a_variable_of_a_group_may_be_encoded_in_its_own_way() {
    let folder = Folder::new();
    let (source, target) = (tree(&folder, "3"), folder.text("b.zarr"));
    let ran = levain(&["rechunk", &source, &target, "--encoding", "a/b/v=zstd:7"]);
    ran.check_done();
    check_tree(&target);
    let codecs = |group: &str| {
        let group = open(&target).group(&group.parse().expect("a path")).expect("a group");
        group.dataset().variable("v").expect("there").storage.codecs.join(" ")
    };
    assert!(
        codecs("a/b").contains("zstd") && !codecs("a/b").contains("blosc"),
        "{}",
        codecs("a/b")
    );
    assert!(codecs("a").contains("blosc"), "{}", codecs("a"));
    let refused = levain(&["rechunk", &source, &folder.text("c.zarr"), "--encoding", "a/w=zstd:7"]);
    refused.check_refused("E108", 4, &["a/w"]);
}

#[test]
fn readers_see_nothing_before_all_groups_are_there() {
    let want = {
        let folder = Folder::new();
        let source = tree(&folder, "3");
        rechunk(&folder, &source, None).expect("a store");
        crate::determinism::objects(&folder.path("b.zarr"))
    };
    for write in 1..200 {
        let folder = Folder::new();
        let source = tree(&folder, "3");
        let done = rechunk(&folder, &source, Some(Faults::from_put(write, Fault::Full)));
        if done.is_ok() {
            assert!(write > want.len() as u64, "{write} writes");
            assert_eq!(crate::determinism::objects(&folder.path("b.zarr")), want);
            return;
        }
        assert!(!folder.path("b.zarr").exists(), "write {write}: something is left");
    }
    panic!("there are not so many writes");
}

fn rechunk(
    folder: &Folder,
    source: &str,
    faults: Option<Faults>,
) -> levain::dataflow::error::Result<levain::job::BakeReport> {
    let store = StoreOptions { faults, ..StoreOptions::default() };
    let chunks = "y=3".parse()?;
    let options = BakeOptions { chunks, zarr_format: ZarrVersion::V3, ..BakeOptions::default() };
    let bake = Bake::new([source], &folder.text("b.zarr"))?.with_options(options);
    bake.with_groups(true).with_store(store).run()
}

#[test]
fn a_group_that_was_rewritten_is_verified_as_it_is() {
    let folder = Folder::new();
    let (source, target) = (tree(&folder, "3"), folder.text("b.zarr"));
    levain(&["rechunk", &source, &target, "--chunks", "y=3"]).check_done();
    let other = ["bake", &source, &target, "--group", "a/b", "--target-group", "a", "--overwrite"];
    levain(&other).check_done();
    levain(&["verify", &target]).check_done();
    // What is damaged in a group is found from the root.
    let unit = folder.path("b.zarr/c/d/e/v/c/0/0");
    let mut body = std::fs::read(&unit).expect("a unit");
    body.truncate(body.len() / 2);
    std::fs::write(&unit, body).expect("a file");
    let ran = levain(&["verify", &target]);
    assert_eq!(ran.exit, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("c/d/e/v"), "{}", ran.stderr);
}

#[test]
fn xarray_reads_an_equal_tree() {
    let script = "\
import sys, numpy as np, xarray as xr
folder = sys.argv[1]
def dataset(count):
    rng = np.random.default_rng(count)
    time = np.datetime64('2000-01-01', 'ns') + np.arange(count) * np.timedelta64(6, 'h')
    values = 280 + rng.standard_normal((count, 8, 9))
    values[0, 0, 0] = np.nan
    made = xr.Dataset(
        {'t': (('time', 'y', 'x'), values, {'units': 'K'}), 'mask': (('y', 'x'), values[0] > 280),
         'flag': ((), np.int16(3)), 'name': ('y', np.array(list('abcdefgü'), dtype=object))},
        {'time': time, 'y': np.linspace(90, -90, 8), 'lev': ((), 5.0),
         'step': ('time', np.arange(count) * np.timedelta64(3600 * 10**9, 'ns'))},
        {'title': 'thing', 'n': 3, 'list': [1, 2, 3]})
    made['t'].encoding = dict(dtype='int16', scale_factor=0.01, add_offset=280.0, _FillValue=-32768)
    return made
groups = {'/': xr.Dataset(attrs={'root': 'yes'}), '/a': dataset(10), '/a/b': dataset(10),
          '/c': xr.Dataset(attrs={'only': 'attributes'}), '/d/e/f': dataset(4)}
tree = xr.DataTree.from_dict(groups)
tree.to_zarr(folder + '/2.zarr', zarr_format=2)
tree.to_zarr(folder + '/3.zarr', zarr_format=3)
tree.to_netcdf(folder + '/4.nc')
";
    let compare = "\
import sys, xarray as xr
def opened(path):
    engine = None if path.endswith('.nc') else 'zarr'
    return xr.open_datatree(path, engine=engine, decode_timedelta=True).load()
old, new = opened(sys.argv[1]), opened(sys.argv[2])
assert [n.path for n in old.subtree] == [n.path for n in new.subtree]
keys = ['dtype', 'scale_factor', 'add_offset', '_FillValue', 'units', 'calendar']
for node in old.subtree:
    ours = new[node.path]
    xr.testing.assert_identical(node.to_dataset(), ours.to_dataset())
    for name, variable in node.variables.items():
        if name == 'name':
            continue
        was, now = variable.encoding, ours[name].encoding
        for key in keys:
            assert (key in was) == (key in now), (node.path, name, key, was, now)
            a, b = was.get(key), now.get(key)
            assert a == b or a != a and b != b, (node.path, name, key, a, b)
";
    let folder = Folder::new();
    if python(script, &[folder.root().to_str().expect("UTF-8")]).is_none() {
        return;
    }
    for source in ["2.zarr", "3.zarr", "4.nc"] {
        for format in ["2", "3"] {
            let target = folder.text("out.zarr");
            let chunks = ["--chunks", "time=-1,x=4", "--zarr-format", format, "--overwrite"];
            let source = folder.text(source);
            let rechunk: &[&str] = &["rechunk", &source, &target];
            levain(&[rechunk, &chunks].concat()).check_done();
            python(compare, &[&source, &target]);
        }
    }
}

/// Runs a script of Python with these arguments, where there is an interpreter.
fn python(script: &str, arguments: &[&str]) -> Option<()> {
    let python = levain::dataflow::testing::python()?;
    let mut run = Command::new(python);
    let run = run.arg("-c").arg(script).args(arguments).output().expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(())
}

fn open(path: &str) -> ZarrSource {
    crate::zarr::samples::open(path)
}
