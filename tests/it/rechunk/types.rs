//! Types that only Python's writers make: dates and durations of NumPy, other byte orders, texts of
//! a fixed length. What xarray reads of the copy is what it reads of the source.

use std::process::Command;

use crate::command::levain;
use crate::made::Folder;

const MAKE: &str = "\
import sys, warnings, numpy as np, zarr
warnings.simplefilter('ignore')
folder = sys.argv[1]
rng = np.random.default_rng(1)
types = ['datetime64[ns]', 'datetime64[s]', 'timedelta64[ns]', 'timedelta64[s]', '>f4', '>i2', '>u8',
         '>c16', 'S5', 'U6', 'bool', 'complex64', 'float16', 'int8', 'uint64']
shapes = {'a': ((7, 5), (3, 2)), 's': ((), ()), 'six': ((2, 3, 1, 2, 2, 3), (1, 2, 1, 2, 1, 2)),
          'one': ((1,), (4,)), 'none': ((0, 4), (1, 2))}
def values(dtype, shape):
    if dtype.kind in 'mM':
        made = rng.integers(0, 10**9, shape).astype('i8').view(dtype)
        if made.size and made.ndim:
            made.flat[0] = np.array('NaT', dtype)
        return made
    if dtype.kind in 'SU':
        texts = np.array(['a', 'bcd', '', 'efghi' if dtype.kind == 'S' else '\\u00e9fghi'])
        return texts[rng.integers(0, 4, shape)].astype(dtype)
    numbers = rng.integers(0, 100, shape)
    return (numbers > 50 if dtype.kind == 'b' else numbers).astype(dtype)
for form in (2, 3):
    for number, name in enumerate(types):
        dtype = np.dtype(name)
        group = zarr.open_group(f'{folder}/{form}.zarr/t{number}', mode='w', zarr_format=form)
        for array, (shape, chunks) in shapes.items():
            dims = [f'{array}{axis}' for axis in range(len(shape))]
            named = {'dimension_names': dims} if form == 3 else {}
            made = group.create_array(array, shape=shape, chunks=chunks, dtype=dtype, **named)
            if form == 2:
                made.attrs['_ARRAY_DIMENSIONS'] = dims
            made.attrs['note'] = 'kept'
            if 0 not in shape:
                made[...] = values(dtype, shape)
    zarr.open_group(f'{folder}/{form}.zarr', mode='a', zarr_format=form)
    zarr.consolidate_metadata(f'{folder}/{form}.zarr', zarr_format=form)
";

const COMPARE: &str = "\
import sys, warnings, numpy as np, xarray as xr
warnings.simplefilter('ignore')
def opened(path):
    return xr.open_datatree(path, engine='zarr', decode_timedelta=True).load()
def plain(text):
    return text.decode() if isinstance(text, bytes) else str(text)
old, new = opened(sys.argv[1]), opened(sys.argv[2])
assert [node.path for node in old.subtree] == [node.path for node in new.subtree]
count = 0
for node in old.subtree:
    ours = new[node.path]
    assert set(node.variables) == set(ours.variables)
    for name, was in node.variables.items():
        now = ours[name].variable
        # That of a date is an attribute in xarray, and part of the encoding of a count of seconds.
        kept = [{key: it[key] for key in it if key != '_FillValue'} for it in (was.attrs, now.attrs)]
        assert kept[0] == kept[1], (node.path, name, kept)
        assert was.dims == now.dims and was.shape == now.shape
        a, b = np.asarray(was.values), np.asarray(now.values)
        if a.dtype.kind in 'SUOT':
            # Version 2 masks texts by the fill value, version 3 cannot; a warning says so.
            a, b = (['' if text == 'nan' else text for text in map(plain, it.ravel())] for it in (a, b))
        elif a.dtype.kind in 'mM':
            # xarray decodes times to the unit that it prefers.
            assert a.dtype.kind == b.dtype.kind
            a, b = a.astype(a.dtype.kind + '8[ns]'), b.astype(a.dtype.kind + '8[ns]')
        else:
            assert a.dtype.newbyteorder('=') == b.dtype.newbyteorder('='), (node.path, name, a.dtype, b.dtype)
        kind = np.asarray(a).dtype.kind in 'fcmM'
        assert np.array_equal(a, b, equal_nan=kind), (node.path, name, a, b)
        count += 1
print(count)
";

fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let python = levain::dataflow::testing::python()?;
    let run = Command::new(python).arg("-c").arg(script).args(arguments).output();
    let run = run.expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).expect("UTF-8").trim().to_owned())
}

#[test]
fn what_python_writes_is_read_alike_from_the_copy() {
    let folder = Folder::new();
    if python(MAKE, &[folder.root().to_str().expect("UTF-8")]).is_none() {
        return;
    }
    for source in ["2.zarr", "3.zarr"] {
        for format in ["2", "3"] {
            let (source, target) = (folder.text(source), folder.text("out.zarr"));
            let ran = levain(&[
                "rechunk",
                &source,
                &target,
                "--chunks",
                "a0=4,six5=2",
                "--zarr-format",
                format,
                "--overwrite",
            ]);
            ran.check_done();
            let is_known = |line: &str| {
                format == "3"
                    && line.contains("_FillValue is ``; no text of version 3 can be masked")
            };
            assert!(ran.stderr.lines().all(is_known), "{}", ran.stderr);
            assert_eq!(
                python(COMPARE, &[&source, &target]).as_deref(),
                Some("75"),
                "{source} {format}"
            );
        }
    }
}
