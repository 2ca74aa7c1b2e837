//! Any region of any layout is the same box of the whole array, wherever it is put.

use array::{ArrayBuffer, ArraySource, Chunk, DatasetSource, Placement, Region};
use netcdf_writer::NcWriteFormat;
use proptest::prelude::*;

use super::reading::read;
use super::samples::{Folder, sample};

/// Starts and lengths along three axes, as shares of what is there.
type Box3 = [(f64, f64); 3];

fn region(shape: &[u64], shares: &Box3) -> Region {
    Region::new(shape.iter().zip(shares).map(|(&length, &(from, share))| {
        let start = ((length as f64) * from) as u64;
        start..start + (((length - start) as f64) * share).ceil() as u64
    }))
}

/// Fetches two regions together, each into its own place of a larger buffer.
fn check(source: &dyn ArraySource, whole: &Chunk, boxes: &[Box3; 2], margin: u64) {
    let regions = boxes.each_ref().map(|shares| region(whole.shape(), shares));
    let mut buffers = regions.each_ref().map(|region| {
        let shape: Vec<u64> = region.shape().iter().map(|length| length + margin).collect();
        ArrayBuffer::zeroed(whole.dtype(), &shape)
    });
    let at = vec![margin; whole.shape().len()];
    let mut places: Vec<Placement<'_>> =
        buffers.iter_mut().map(|into| Placement { into, at: at.clone() }).collect();
    source.fetch(&regions).expect("regions within").decode(&mut places).expect("they decode");
    for (region, buffer) in regions.iter().zip(buffers) {
        let mut want = ArrayBuffer::zeroed(whole.dtype(), buffer.shape());
        want.write(&at, whole, region).expect("a box within");
        assert_eq!(buffer, want, "{region}");
    }
}

fn shares() -> impl Strategy<Value = [Box3; 2]> {
    let axis = (0.0..1.0f64, 0.0..=1.0f64);
    let axes = [axis.clone(), axis.clone(), axis];
    [axes.clone(), axes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn regions_are_boxes_of_the_whole(boxes in shares(), margin in 0u64..3) {
        for format in [NcWriteFormat::Offset64, NcWriteFormat::Nc4] {
            let folder = Folder::new();
            let file = folder.open(sample(format)).expect("it opens");
            for variable in &file.dataset().variables {
                let whole = read(&file, &variable.name).expect("it can be read");
                let source = file.array(&variable.name).expect("it is there");
                check(&*source, &whole, &boxes, margin);
            }
        }
    }
}

#[test]
fn a_region_outside_of_the_array_is_refused() {
    let folder = Folder::new();
    let file = folder.open(sample(NcWriteFormat::Nc4)).expect("it opens");
    for name in ["fixed_int8", "record_int8", "chunked_int8"] {
        let source = file.array(name).expect("it is there");
        let shape = source.facts().grid.shape();
        let beyond: Vec<u64> = shape.iter().map(|length| length + 1).collect();
        assert!(source.fetch(&[Region::whole(&beyond)]).is_err());
        assert!(source.fetch(&[Region::whole(&shape[1..])]).is_err());
    }
}
